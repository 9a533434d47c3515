import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "../api";
import { withNewest, withOlder, type Pages } from "../ledger/paging";
import { wallet, walletChanges } from "../ledger/wallet-state";
import type { StatementEntry } from "../protocol";
import { Link } from "../router";
import { ownStream } from "../state";
import { Earned } from "../ui/coin";
import { count } from "../ui/words";
import { broughtSince, reachesBackTo } from "./tonight-facts";

type Earnings = Pages<StatementEntry, string>;

const pageSize = 100;
/** A session with more gifts than this is told as "at least". */
const mostPages = 20;

async function read(cursor: string | null): Promise<Earnings> {
  const from = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
  return get<Earnings>(`/api/wallet/statement?currency=earnings&limit=${pageSize}${from}`);
}

const keyOf = (entry: StatementEntry): string => `${entry.transaction_id}`;

/** The newest page on top of what is known, and as many older ones as the session is long. */
async function readSince(since: string, known: Earnings | null): Promise<Earnings> {
  const newest = await read(null);
  let earnings = known === null ? newest : withNewest(known, newest, keyOf);
  for (let page = 1; page < mostPages && !reachesBackTo(since, earnings); page++) {
    earnings = withOlder(earnings, await read(earnings.next), keyOf);
  }
  return earnings;
}

/** What did tonight bring: of this session and in all, moving as gifts arrive. */
export function TonightCard() {
  const since = ownStream.value?.live_available ? ownStream.value.live_since : null;
  const earnings = useSignal<Earnings | null>(null);
  useEffect(() => {
    if (since === null) return;
    // A failure leaves what was known; the next gift, or the connection coming back, asks again.
    readSince(since, earnings.value)
      .then((heard) => (earnings.value = heard))
      .catch(() => undefined);
  }, [since, walletChanges.value]);
  return (
    <section class="card tonight" aria-labelledby="tonight-title" data-testid="tonight">
      <h2 id="tonight-title" class="card-title">
        {since === null ? "Earnings" : "Tonight"}
      </h2>
      <dl>
        {since !== null && <Session since={since} earnings={earnings.value} />}
        <div>
          <dt class="quiet">In all</dt>
          <dd data-testid="earned-in-all">{wallet.value === null ? <span class="skeleton figure-skeleton" /> : <Earned value={wallet.value.earnings} />}</dd>
        </div>
      </dl>
      <p class="quiet small">
        Your share of the gifts you got. <Link href="/wallet">Every gift is in your statement</Link>
      </p>
    </section>
  );
}

function Session({ since, earnings }: { since: string; earnings: Earnings | null }) {
  const brought = earnings === null ? null : broughtSince(since, earnings);
  const least = brought?.isAll === false ? "at least " : "";
  return (
    <>
      <div>
        <dt class="quiet">Earned</dt>
        <dd data-testid="earned-tonight">{brought === null ? <span class="skeleton figure-skeleton" /> : <>{least}<Earned value={brought.earned} /></>}</dd>
      </div>
      <div>
        <dt class="quiet">Gifts</dt>
        <dd class="numbers" data-testid="gifts-tonight">
          {brought === null ? <span class="skeleton figure-skeleton" /> : `${least}${count(brought.gifts)}`}
        </dd>
      </div>
    </>
  );
}
