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
  if (isAway.value) return <p class="health quiet">Ledger's state is not known right now</p>;
  if (heard === null) return <p class="health quiet">Asking the ledger…</p>;
  return (
    <p class="health numbers" data-testid="ledger-health" data-healthy={heard.is_healthy}>
      <span class="health-dot" aria-hidden="true" />
      <span role="status">{heard.is_healthy ? "Ledger balanced" : behind(heard)}</span>
      <span class="quiet health-more" title={`Head ${heard.head}, ${heard.transactions} transactions sealed`}>
        head {shortHead(heard.head)}
        {heard.sealed_at !== null && ` · ${lasting(heard.sealed_at, Math.max(Date.parse(heard.sealed_at), now.value + clockOffset.value))} ago`}
      </span>
    </p>
  );
}

function behind({ unsealed, oldest_unsealed_seconds: oldest }: LedgerStatus): string {
  return `Ledger is behind: ${unsealed} not sealed, the oldest for ${Math.round(oldest ?? 0)} s. Run livewall ledger verify`;
}

/** `9f3c…e1`: enough to compare with an exported head. */
const shortHead = (head: string): string => `${head.slice(0, 4)}…${head.slice(-2)}`;
