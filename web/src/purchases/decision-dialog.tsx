import { useSignal } from "@preact/signals";
import { post } from "../api";
import { inWords } from "../problems";
import type { HeldPurchase, Purchase } from "../protocol";
import { say } from "../status";
import { Dialog } from "../ui/dialog";
import { consequence, type Decision } from "./held-facts";
import { heldPurchases, loadHeld } from "./held-state";
import { numberOf } from "./purchase-words";

interface Props {
  held: HeldPurchase;
  decision: Decision;
  close: () => void;
}

/** A decision about somebody's money takes a reason, which stays in the audit log. */
export function DecisionDialog({ held, decision, close }: Props) {
  const reason = useSignal("");
  const problem = useSignal<string | null>(null);
  const isBusy = useSignal(false);
  const number = numberOf(held.purchase);
  const verb = decision === "approve" ? "Approve" : "Reject";
  // Somebody else was quicker, or the deadline was.
  const isOver = heldPurchases.value?.some(({ purchase }) => purchase.id === held.purchase.id) === false;
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    isBusy.value = true;
    problem.value = null;
    try {
      await post<Purchase>(`/api/admin/purchases/${held.purchase.id}/decision`, { decision, reason: reason.value.trim() });
      // The list first: the focus can not return to a row that is about to go.
      await loadHeld();
      say(`${number} is ${decision === "approve" ? "approved" : "rejected"}.`);
      close();
    } catch (error) {
      problem.value = inWords(error);
      void loadHeld();
    } finally {
      isBusy.value = false;
    }
  };
  return (
    <Dialog title={`${verb} ${number}`} close={close}>
      <form onSubmit={(event) => void submit(event)}>
        <p class="decision-words">{consequence(held, decision)}</p>
        <label class="labelled">
          <span>Reason</span>
          <textarea class="field" rows={3} required autofocus maxLength={500} value={reason.value} onInput={(event) => (reason.value = event.currentTarget.value)} />
          <small class="quiet">Kept in the audit log beside your name.</small>
        </label>
        {(problem.value ?? (isOver && !isBusy.value)) && (
          <p class="form-problem" role="alert">
            {problem.value ?? "Somebody has decided about this purchase, or its deadline has passed."}
          </p>
        )}
        <div class="button-row dialog-end">
          <button type="button" class="button" onClick={close}>
            {isOver ? "Close" : "Cancel"}
          </button>
          <button type="submit" class="button primary" disabled={isBusy.value || isOver || reason.value.trim() === ""}>
            {verb}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
