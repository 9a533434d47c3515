import { coins, count } from "./words";

export const CoinIcon = () => (
  <svg class="coin" viewBox="0 0 20 20" width="16" height="16" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linejoin="round" aria-hidden="true">
    <circle cx="10" cy="10" r="8" />
    <path d="m10 5.6 1.35 2.75 3.05.44-2.2 2.15.52 3.03L10 12.54l-2.72 1.43.52-3.03-2.2-2.15 3.05-.44z" />
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
