import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "../api";
import type { LedgerStatus } from "../protocol";
import { clockOffset } from "../state";
import { lasting } from "../ui/words";

const askEvery = 10_000;

/** The ledger's health, always in the operator's bar. */
export function LedgerHealth() {
  const status = useSignal<LedgerStatus | null>(null);
  const isAway = useSignal(false);
  const now = useSignal(Date.now());
  useEffect(() => {
    const ask = (): void => {
      get<LedgerStatus>("/api/admin/ledger")
        .then((heard) => {
          status.value = heard;
          isAway.value = false;
        })
        .catch(() => (isAway.value = true));
    };
    ask();
    const slow = window.setInterval(() => !document.hidden && ask(), askEvery);
    const tick = window.setInterval(() => (now.value = Date.now()), 1000);
    return () => {
      window.clearInterval(slow);
      window.clearInterval(tick);
    };
  }, []);
  const heard = status.value;
  if (isAway.value) return <p class="health quiet">Ledger state unknown</p>;
  if (heard === null) return <p class="health quiet">Asking the ledger…</p>;
  return (
    <p class="health numbers" data-testid="ledger-health" data-healthy={heard.is_healthy}>
      <span class="health-dot" aria-hidden="true" />
      <span role="status">{heard.is_healthy ? "Ledger sealed" : `Ledger is behind by ${Math.round(heard.oldest_unsealed_seconds ?? 0)} s`}</span>
      <span class="quiet health-more" title={`Head ${heard.head}, ${heard.transactions} transactions sealed`}>
        {heard.is_healthy ? sealed(heard, now.value + clockOffset.value) : `${heard.unsealed} not sealed · run livewall ledger verify`}
      </span>
    </p>
  );
}

/** `head 9f3c…e1 · 12 s ago`: enough to compare with an exported head. */
function sealed({ head, sealed_at }: LedgerStatus, now: number): string {
  const short = `head ${head.slice(0, 4)}…${head.slice(-2)}`;
  return sealed_at === null ? short : `${short} · ${lasting(sealed_at, Math.max(Date.parse(sealed_at), now))} ago`;
}
