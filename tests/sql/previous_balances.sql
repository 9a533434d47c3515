-- The balances that the entries say.
UPDATE profiles AS p SET coin_balance = e.coins, earnings_balance = e.earnings
FROM (
    SELECT user_id, coalesce(sum(amount) FILTER (WHERE balance_type = 'coins'), 0) AS coins,
           coalesce(sum(amount) FILTER (WHERE balance_type = 'earnings'), 0) AS earnings
    FROM ledger_entries GROUP BY user_id
) AS e WHERE e.user_id = p.id;
