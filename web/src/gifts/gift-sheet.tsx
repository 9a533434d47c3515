import { Dialog } from "../ui/dialog";
import type { GiftTarget } from "./sending";
import { GiftTray } from "./tray";

/** The tray over the wall, opened from a tile; on a phone a sheet from below. */
export function GiftSheet({ to, close }: { to: GiftTarget; close: () => void }) {
  return (
    <Dialog title={`A gift for ${to.name}`} close={close}>
      <GiftTray to={to} sent={close} />
    </Dialog>
  );
}
