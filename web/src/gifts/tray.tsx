import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { wallet } from "../ledger/wallet-state";
import type { GiftType } from "../protocol";
import { Link } from "../router";
import { Coins } from "../ui/coin";
import { Trouble } from "../ui/trouble";
import { coins } from "../ui/words";
import { giftTypes, giftTypesFailed, loadGiftTypes } from "./catalogue";
import { giftTrouble, sendGift, sending, type GiftTarget } from "./sending";

/** Gifts costing this much are given with a second press: no slip of a finger is dear. */
const dear = 1000;
const sureFor = 5000;

/** What one can give to somebody, with prices, and what one has. */
export function GiftTray({ to, sent }: { to: GiftTarget; sent?: () => void }) {
  useEffect(() => void loadGiftTypes(), []);
  const has = wallet.value;
  return (
    <div class="tray" role="group" aria-label={`Send ${to.name} a gift`}>
      <span class="quiet tray-title" aria-hidden="true">
        Send {to.name} a gift
      </span>
      <Choices to={to} sent={sent} />
      {has !== null && <span class="quiet small numbers tray-balance">You have {coins(has.coins)}</span>}
      <Note to={to} />
    </div>
  );
}

function Choices({ to, sent }: { to: GiftTarget; sent: (() => void) | undefined }) {
  const sure = useSignal<string | null>(null);
  const press = async (gift: GiftType): Promise<void> => {
    if (gift.price >= dear && sure.value !== gift.id) {
      sure.value = gift.id;
      window.setTimeout(() => sure.value === gift.id && (sure.value = null), sureFor);
      return;
    }
    sure.value = null;
    if (await sendGift(gift, to)) sent?.();
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

function GiftButton({ gift, name, isSure, press }: GiftButtonProps) {
  return (
    <button type="button" class="gift" data-sure={isSure} disabled={sending.value !== null} onClick={press}>
      <span class="gift-emoji" aria-hidden="true">
        {gift.emoji}
      </span>
      <Words gift={gift} name={name} isSure={isSure} />
      <Coins value={gift.price} />
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

function Note({ to }: { to: GiftTarget }) {
  const trouble = giftTrouble.value;
  if (trouble === null || trouble.recipientId !== to.recipientId) return null;
  return (
    <p class="tray-note" role="alert">
      {trouble.words} {trouble.leadsToWallet && <Link href="/wallet">Open the wallet</Link>}
    </p>
  );
}
