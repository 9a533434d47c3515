import { useLayoutEffect, useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { CloseIcon } from "./icons";

interface DialogProps {
  title: string;
  close: () => void;
  children: ComponentChildren;
}

/** A modal panel; a sheet from below on a phone. Escape and a press beside it close it. */
export function Dialog({ title, close, children }: DialogProps) {
  const root = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const dialog = root.current;
    dialog?.showModal();
    // However it goes: the focus returns to where it came from only if it is closed before it is removed.
    return () => dialog?.close();
  }, []);
  const press = (event: MouseEvent): void => {
    if (event.target === root.current) close();
  };
  return (
    <dialog ref={root} class="dialog" aria-label={title} onClose={close} onClick={press}>
      <div class="dialog-body">
        <header>
          <h2>{title}</h2>
          <button type="button" class="tool" aria-label="Close" onClick={close}>
            <CloseIcon />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
