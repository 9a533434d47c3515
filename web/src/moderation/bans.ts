import { put, remove } from "../api";
import type { Person } from "../protocol";
import { account, isStaff } from "../state";
import { act } from "../status";
import type { MenuItem } from "../ui/menu";

const day = 86_400;

const path = (person: Person): string => `/api/bans/${encodeURIComponent(person.name)}`;

export async function ban(person: Person, reason: string): Promise<void> {
  await act(() => put(path(person), { reason, seconds: day }), `${person.display_name} is banned for 24 hours.`);
}

async function liftBan(person: Person): Promise<void> {
  await act(() => remove(path(person)), `${person.display_name} is not banned any more.`);
}

/** What a moderator can do about somebody, for the menus beside their name. */
export function moderatorItems(person: Person): MenuItem[] {
  if (!isStaff.value || person.id === account.value?.profile.id) return [];
  const name = person.display_name;
  return [
    { label: `Lift the ban on ${name}`, run: () => void liftBan(person) },
    { label: `Ban ${name} for 24 hours`, run: () => void ban(person, "By a moderator, from the profile"), isLoss: true },
  ];
}
