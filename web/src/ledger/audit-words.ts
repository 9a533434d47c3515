import type { AuditEntry } from "../protocol";

/** Who acted, where there is no profile to show: people stay people when their account is gone. */
export function nobodyToShow({ actor_id }: AuditEntry): string {
  return actor_id === null ? "Livewall itself" : "Somebody who has left";
}
