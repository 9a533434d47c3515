import { useSignal } from "@preact/signals";
import { get } from "../api";
import type { Currency, StatementEntry } from "../protocol";
import { Link, profilePath } from "../router";
import { account } from "../state";
import { CoinIcon, EarnedIcon } from "../ui/coin";
import { LinesSkeleton, Trouble } from "../ui/trouble";
import { coins, count, dateAndTime, earned } from "../ui/words";
import type { Pages } from "./paging";
import { entryWords, receiptOf, signed } from "./statement-words";
import { ShowOlder } from "./show-older";
import { usePages } from "./use-pages";
import { walletChanges } from "./wallet-state";

const pageSize = 25;
const currencies: { currency: Currency; label: string; empty: string }[] = [
  { currency: "coins", label: "Coins", empty: "No coins have come or gone yet." },
  { currency: "earnings", label: "Earnings", empty: "Nothing earned yet. Gifts that people send while you are live appear here." },
];

function read(currency: Currency): (from: string | null) => Promise<Pages<StatementEntry, string>> {
  return (from) => {
    const cursor = from === null ? "" : `&cursor=${encodeURIComponent(from)}`;
    return get(`/api/wallet/statement?currency=${currency}&limit=${pageSize}${cursor}`);
  };
}

/** Every line explained, newest first, with the balance after it. */
export function Statement() {
  const currency = useSignal<Currency>("coins");
  const shown = currencies.find((one) => one.currency === currency.value);
  const keyOf = (entry: StatementEntry): string => `${entry.transaction_id}`;
  const list = usePages({ read: read(currency.value), keyOf }, `${account.value?.profile.id} ${currency.value}`, [walletChanges.value]);
  const pages = list.pages.value;
  return (
    <section class="card statement" aria-labelledby="statement-title">
      <header class="section-head">
        <h2 id="statement-title">Statement</h2>
        <div class="segments" role="group" aria-label="Statement of">
          {currencies.map((one) => (
            <button key={one.currency} type="button" aria-pressed={one.currency === currency.value} onClick={() => (currency.value = one.currency)}>
              {one.label}
            </button>
          ))}
        </div>
      </header>
      {list.problem.value && <Trouble words={list.problem.value} retry={list.retry} />}
      {pages === null && !list.problem.value && <LinesSkeleton label="Loading the statement" />}
      {pages?.entries.length === 0 && <p class="quiet">{shown?.empty}</p>}
      {pages !== null && pages.entries.length > 0 && <Lines entries={pages.entries} currency={currency.value} />}
      <ShowOlder list={list} />
    </section>
  );
}

function Lines({ entries, currency }: { entries: readonly StatementEntry[]; currency: Currency }) {
  return (
    <table class="lines numbers" data-testid={`statement-${currency}`}>
      <thead>
        <tr>
          <th scope="col">What happened</th>
          <th scope="col" class="number">
            {currency === "coins" ? "Coins" : "Earned"}
          </th>
          <th scope="col" class="number">
            Balance
          </th>
        </tr>
      </thead>
      <tbody>
        {entries.map((entry) => (
          <Line key={entry.transaction_id} entry={entry} currency={currency} />
        ))}
      </tbody>
    </table>
  );
}

function Line({ entry, currency }: { entry: StatementEntry; currency: Currency }) {
  const [Icon, inWords] = currency === "coins" ? [CoinIcon, coins] : [EarnedIcon, earned];
  return (
    <tr>
      <td>
        <Words entry={entry} currency={currency} />
        <time class="quiet small" dateTime={entry.created_at}>
          {dateAndTime(entry.created_at)}
        </time>
      </td>
      <td class="number">
        <span class={entry.amount > 0 ? "gained" : undefined}>{signed(entry.amount)}</span> <Icon />
      </td>
      <td class="number">
        <span aria-hidden="true">{count(entry.balance)}</span> <Icon />
        <span class="quiet-words">{inWords(entry.balance)}</span>
      </td>
    </tr>
  );
}

function Words({ entry, currency }: { entry: StatementEntry; currency: Currency }) {
  const words = entryWords(entry, currency);
  const to = receiptOf(entry) ?? (entry.counterpart ? profilePath(entry.counterpart.name) : null);
  return to === null ? <span class="line-words">{words}</span> : <Link href={to} class="line-words">{words}</Link>;
}
