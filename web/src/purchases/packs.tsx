import { useSignal } from "@preact/signals";
import { get } from "../api";
import { inWords } from "../problems";
import type { CoinPack } from "../protocol";
import { Coins } from "../ui/coin";
import { Trouble } from "../ui/trouble";
import { dollars } from "../ui/words";
import { useReading } from "../use-reading";
import { buy, buying } from "./buying";

const read = async (): Promise<CoinPack[]> => (await get<{ packs: CoinPack[] }>("/api/coin-packs")).packs;

/** The packs with their prices; pressing one buys it. */
export function Packs({ mayBuy }: { mayBuy: boolean }) {
  const { found: packs, problem, refresh } = useReading({ read }, "packs");
  const refusal = useSignal<string | null>(null);
  const press = (pack: CoinPack): void => {
    refusal.value = null;
    buy(pack).catch((error: unknown) => (refusal.value = inWords(error)));
  };
  return (
    <section aria-labelledby="packs-title">
      <h2 id="packs-title" class="section-title">
        Get coins
      </h2>
      {refusal.value && (
        <p class="notice" role="alert">
          {refusal.value}
        </p>
      )}
      {problem.value && <Trouble words={problem.value} retry={() => void refresh()} />}
      {packs.value === null && !problem.value && <PacksSkeleton />}
      {packs.value?.length === 0 && <p class="quiet">No coins are sold here at the moment.</p>}
      <ul class="packs">
        {packs.value?.map((pack) => (
          <li key={pack.id}>
            <Pack pack={pack} mayBuy={mayBuy} press={() => press(pack)} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function Pack({ pack, mayBuy, press }: { pack: CoinPack; mayBuy: boolean; press: () => void }) {
  const isOpening = buying.value === pack.id;
  const isBusy = buying.value !== null;
  return (
    <button type="button" class="pack" disabled={!mayBuy || isBusy} aria-describedby={pack.requires_approval ? `pack-${pack.id}` : undefined} onClick={press}>
      <span>
        <span class="quiet-words">Buy </span>
        <Coins value={pack.coins} />
        <span class="quiet-words"> for </span>
      </span>
      <span class="pack-price numbers">{isOpening ? "Opening…" : dollars(pack.usd_cents)}</span>
      {pack.requires_approval && (
        <span id={`pack-${pack.id}`} class="quiet small" aria-hidden="true">
          A second person approves it before your card is charged.
        </span>
      )}
    </button>
  );
}

function PacksSkeleton() {
  return (
    <ul class="packs" aria-label="Loading the packs">
      {Array.from({ length: 10 }, (_, at) => (
        <li key={at} class="pack skeleton" />
      ))}
    </ul>
  );
}
