import { coins, count, earned } from "./words";

export const CoinIcon = () => (
  <svg class="coin" viewBox="0 0 20 20" width="16" height="16" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linejoin="round" aria-hidden="true">
    <circle cx="10" cy="10" r="8" />
    <path d="m10 5.6 1.35 2.75 3.05.44-2.2 2.15.52 3.03L10 12.54l-2.72 1.43.52-3.03-2.2-2.15 3.05-.44z" />
  </svg>
);

/** What came in through gifts: no coins, for it can not be spent here. */
export const EarnedIcon = () => (
  <svg class="earned-icon" viewBox="0 0 20 20" width="16" height="16" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
    <path d="M10 3v8.5m0 0 3.4-3.4M10 11.5 6.6 8.1M3.5 12v3.2a1.8 1.8 0 0 0 1.8 1.8h9.4a1.8 1.8 0 0 0 1.8-1.8V12" />
  </svg>
);

/** An amount of coins, never without the coin. */
export function Coins({ value }: { value: number }) {
  return (
    <span class="coins">
      <CoinIcon />
      <span class="numbers" aria-hidden="true">
        {count(value)}
      </span>
      <span class="quiet-words">{coins(value)}</span>
    </span>
  );
}

/** An amount that was earned, told from coins by its sign and its word. */
export function Earned({ value }: { value: number }) {
  return (
    <span class="coins">
      <EarnedIcon />
      <span class="numbers" aria-hidden="true">
        {count(value)}
      </span>
      <span class="quiet-words">{earned(value)}</span>
    </span>
  );
}
