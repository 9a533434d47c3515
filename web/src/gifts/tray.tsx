import { useSignal } from "@preact/signals";
import { useEffect, useId } from "preact/hooks";
import { loadWallet, wallet } from "../ledger/wallet-state";
import type { GiftType, Wallet } from "../protocol";
import { Link } from "../router";
import { Coins } from "../ui/coin";
import { Trouble } from "../ui/trouble";
import { coins } from "../ui/words";
import { giftTypes, giftTypesFailed, loadGiftTypes } from "./catalogue";
import { GiftPicture } from "./gift-picture";
import { obstacle, type GiftTrouble } from "./obstacle";
import { sendGift, sending, type GiftTarget } from "./sending";

/** Gifts costing this much are given with a second press: no slip of a finger is dear. */
const dear = 1000;
const sureFor = 5000;

/** What one can give to somebody, with prices, and what one has. */
export function GiftTray({ to, sent }: { to: GiftTarget; sent?: () => void }) {
  // Of this tray alone: what went wrong elsewhere, or before, is not true here.
  const told = useSignal<{ trouble: GiftTrouble; with: Wallet | null } | null>(null);
  const has = wallet.value;
  useEffect(() => void loadGiftTypes(), []);
  const tell = (trouble: GiftTrouble | null): void => void (told.value = trouble && { trouble, with: wallet.value });
  return (
    <div class="tray" role="group" aria-label={`Send ${to.name} a gift`}>
      <span class="quiet tray-title" aria-hidden="true">
        Send {to.name} a gift
      </span>
      <Choices to={to} sent={sent} tell={tell} />
      {has !== null && (
        <p class="quiet small numbers tray-balance">
          You have {coins(has.coins)}
          {giftTypes.value?.some((gift) => obstacle(gift, has)) && (
            <>
              {" "}
              · <Link href="/wallet">{has.is_frozen ? "Repay what you owe" : "Get more"}</Link>
            </>
          )}
        </p>
      )}
      {told.value && isStillTrue(told.value.trouble, told.value.with, has) && <Note trouble={told.value.trouble} />}
    </div>
  );
}

/** What was lacking may have come since. */
const isStillTrue = (trouble: GiftTrouble, then: Wallet | null, now: Wallet | null): boolean =>
  !trouble.leadsToWallet || (then?.coins === now?.coins && then?.is_frozen === now?.is_frozen);

interface ChoicesProps {
  to: GiftTarget;
  sent: (() => void) | undefined;
  tell: (trouble: GiftTrouble | null) => void;
}

function Choices({ to, sent, tell }: ChoicesProps) {
  const sure = useSignal<string | null>(null);
  const give = async (gift: GiftType): Promise<void> => {
    if (gift.price >= dear && sure.value !== gift.id) {
      sure.value = gift.id;
      window.setTimeout(() => sure.value === gift.id && (sure.value = null), sureFor);
      return;
    }
    sure.value = null;
    const trouble = await sendGift(gift, to);
    if (trouble === "busy") return;
    tell(trouble);
    if (trouble === null) sent?.();
  };
  const press = async (gift: GiftType): Promise<void> => {
    if (sending.value !== null) return;
    tell(null);
    // The balance here may be older than the coins: it is asked for before anybody is sent away.
    if (obstacle(gift, wallet.value)) await loadWallet();
    const trouble = obstacle(gift, wallet.value);
    if (trouble) tell(trouble);
    else await give(gift);
  };
  if (giftTypesFailed.value) return <Trouble words="The gifts can not be loaded." retry={() => void loadGiftTypes()} />;
  return (
    <div class="gifts">
      {giftTypes.value === null && [0, 1, 2, 3, 4].map((at) => <span key={at} class="gift skeleton" />)}
      {giftTypes.value?.map((gift) => (
        <GiftButton key={gift.id} gift={gift} name={to.name} isSure={sure.value === gift.id} press={() => void press(gift)} />
      ))}
    </div>
  );
}

interface GiftButtonProps {
  gift: GiftType;
  name: string;
  isSure: boolean;
  press: () => void;
}

/** One that costs more than one has is dimmed and says why, but can be pressed: then the balance is asked for anew. */
function GiftButton({ gift, name, isSure, press }: GiftButtonProps) {
  const id = useId();
  const why = obstacle(gift, wallet.value);
  return (
    <button type="button" class="gift" data-sure={isSure} disabled={sending.value !== null} data-lacking={why !== null} aria-describedby={why ? id : undefined} onClick={press}>
      <GiftPicture emoji={gift.emoji} />
      <Words gift={gift} name={name} isSure={isSure} />
      <Coins value={gift.price} />
      {why && (
        <span id={id} class="quiet-words" aria-hidden="true">
          {why.words}
        </span>
      )}
    </button>
  );
}

/** What one sees is a part of what is read out. */
function Words({ gift, name, isSure }: Omit<GiftButtonProps, "press">) {
  if (isSure) {
    return (
      <span>
        <strong>Press again</strong>
        <span class="quiet-words">{` to send ${gift.title} for ${name}, `}</span>
      </span>
    );
  }
  return (
    <span>
      <span class="quiet-words">Send </span>
      <strong>{sending.value === gift.id ? "Sending…" : gift.title}</strong>
      <span class="quiet-words">{` for ${name}, `}</span>
    </span>
  );
}

function Note({ trouble }: { trouble: GiftTrouble }) {
  return (
    <p class="tray-note" role="alert">
      {trouble.words} {trouble.leadsToWallet && <Link href="/wallet">Open the wallet</Link>}
    </p>
  );
}
