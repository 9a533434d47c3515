import type { ComponentChildren } from "preact";
import { Audit } from "./ledger/audit";
import { LedgerHealth } from "./ledger/health";
import { Webhooks } from "./payments/webhooks";
import { Held } from "./purchases/held";
import { heldPurchases } from "./purchases/held-state";
import { MoneySettings } from "./purchases/money-settings";
import { Link } from "./router";
import { decidesMoney } from "./state";

/** The operator's console: quiet tables, one decision a row. It hides; the server refuses. */
export function Console({ path }: { path: string }) {
  if (!decidesMoney.value) return <NotForYou />;
  const tab = tabs.find((one) => one.path === path);
  if (tab === undefined) return <NotForYou />;
  return <div class="page console">{tab.page()}</div>;
}

const tabs: { path: string; label: string; page: () => ComponentChildren }[] = [
  { path: "/admin", label: "Held purchases", page: () => <Held /> },
  { path: "/admin/webhooks", label: "Webhooks", page: () => <Webhooks /> },
  { path: "/admin/audit", label: "Audit", page: () => <Audit /> },
  { path: "/admin/settings", label: "Settings", page: () => <MoneySettings /> },
];

export const consoleTitle = (path: string): string | undefined => tabs.find((tab) => tab.path === path)?.label;

/** What stands in the bar instead of the pages of the wall. */
export function ConsoleNav() {
  const waiting = heldPurchases.value?.length ?? 0;
  return (
    <>
      <span class="operator">Operator</span>
      <nav class="bar-nav console-nav" aria-label="Operator's console">
        {tabs.map((tab) => (
          <Link key={tab.path} href={tab.path}>
            {tab.label}
            {tab.path === "/admin" && waiting > 0 && (
              <span class="waiting-count numbers">
                {waiting}
                <span class="quiet-words"> waiting</span>
              </span>
            )}
          </Link>
        ))}
      </nav>
      <LedgerHealth />
    </>
  );
}

function NotForYou() {
  return (
    <div class="page empty-page">
      <h1>This page is for finance staff</h1>
      <p class="quiet">Sign in with an account that has the role finance or admin, or ask an admin for it.</p>
      <Link class="button primary" href="/">
        To the wall
      </Link>
    </div>
  );
}
