import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";

type Position = "low" | "middle" | "tall";
const order: readonly Position[] = ["low", "middle", "tall"];

/** The pull of the chat sheet on a phone: drag its handle, or press it to step through. It starts
 * low: the wall is what one came for. */
export function useSheet() {
  const position = useSignal<Position>("low");
  const root = useRef<HTMLElement>(null);
  const start = useRef({ y: 0, height: 0, isDragging: false, hasMoved: false });

  const step = (by: number): void => {
    const at = order.indexOf(position.value) + by;
    position.value = order[Math.max(0, Math.min(order.length - 1, at))] ?? "middle";
  };
  const onPointerDown = (event: PointerEvent): void => {
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
    start.current = { y: event.clientY, height: root.current?.offsetHeight ?? 0, isDragging: true, hasMoved: false };
  };
  const onPointerMove = (event: PointerEvent): void => {
    if (!start.current.isDragging || !root.current) return;
    root.current.style.height = `${start.current.height + start.current.y - event.clientY}px`;
  };
  const onPointerUp = (event: PointerEvent): void => {
    const { y, isDragging } = start.current;
    start.current.isDragging = false;
    if (root.current) root.current.style.height = "";
    const distance = Math.abs(event.clientY - y);
    start.current.hasMoved = distance > 8;
    if (isDragging && distance > 40) step(event.clientY < y ? 1 : -1);
  };
  const onClick = (): void => {
    if (start.current.hasMoved) return;
    position.value = position.value === "tall" ? "low" : (order[order.indexOf(position.value) + 1] ?? "low");
  };
  /** Who writes wants to see what is said. */
  const raise = (): void => {
    if (position.value === "low") position.value = "middle";
  };
  const handle = { onPointerDown, onPointerMove, onPointerUp, onPointerCancel: onPointerUp, onClick };
  return { root, position: position.value, isTall: position.value === "tall", raise, handle };
}
