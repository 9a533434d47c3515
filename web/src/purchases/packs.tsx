import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { stopTrying, tryAgain } from "../again";
import { get } from "../api";
import { inWords } from "../problems";
import type { CoinPack } from "../protocol";
import { Coins } from "../ui/coin";
import { Trouble } from "../ui/trouble";
import { dollars } from "../ui/words";
import { buy, buying, buyProblem } from "./buying";

/** The packs with their prices; pressing one buys it. */
export function Packs({ mayBuy }: { mayBuy: boolean }) {
  const packs = useSignal<CoinPack[] | null>(null);
  const problem = useSignal<string | null>(null);
  const load = (): void => {
    get<{ packs: CoinPack[] }>("/api/coin-packs")
      .then((answer) => {
        packs.value = answer.packs;
        problem.value = null;
        stopTrying(packs);
      })
      .catch((error: unknown) => {
        problem.value = inWords(error);
        tryAgain(packs, error, load);
      });
  };
  useEffect(() => {
    load();
    return () => stopTrying(packs);
  }, []);
  return (
    <section aria-labelledby="packs-title">
      <h2 id="packs-title" class="section-title">
        Get coins
      </h2>
      {buyProblem.value && (
        <p class="notice" role="alert">
          {buyProblem.value}
        </p>
      )}
      {problem.value && <Trouble words={problem.value} retry={load} />}
      {packs.value === null && !problem.value && <PacksSkeleton />}
      {packs.value?.length === 0 && <p class="quiet">No coins are sold here at the moment.</p>}
      <ul class="packs">
        {packs.value?.map((pack) => (
          <li key={pack.id}>
            <Pack pack={pack} mayBuy={mayBuy} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function Pack({ pack, mayBuy }: { pack: CoinPack; mayBuy: boolean }) {
  const isOpening = buying.value === pack.id;
  const isBusy = buying.value !== null;
  return (
    <button type="button" class="pack" disabled={!mayBuy || isBusy} onClick={() => void buy(pack)}>
      <span>
        <span class="quiet-words">Buy </span>
        <Coins value={pack.coins} />
        <span class="quiet-words"> for </span>
      </span>
      <span class="pack-price numbers">{isOpening ? "Opening…" : dollars(pack.usd_cents)}</span>
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
