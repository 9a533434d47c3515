import { useEffect, useRef, useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { MoreIcon } from "./icons";

export interface MenuItem {
  label: string;
  run: () => void;
  isLoss?: boolean;
}

interface MenuProps {
  label: string;
  items: MenuItem[];
  icon?: ComponentChildren;
  className?: string;
}

const gap = 6;
const edge = 8;

/** A button that opens a list of actions in the top layer, so that no tile or panel cuts it off. */
export function Menu({ label, items, icon = <MoreIcon />, className = "tool" }: MenuProps) {
  const [isOpen, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const [from, shown] = [button.current, list.current];
    if (!isOpen || !from || !shown) return;
    shown.showPopover();
    placeBeside(from, shown);
    shown.querySelector("button")?.focus();
    const away = (): void => setOpen(false);
    window.addEventListener("scroll", away, { passive: true });
    window.addEventListener("resize", away);
    return () => {
      window.removeEventListener("scroll", away);
      window.removeEventListener("resize", away);
    };
  }, [isOpen]);
  const choose = (item: MenuItem): void => {
    setOpen(false);
    button.current?.focus();
    item.run();
  };
  return (
    <>
      <button type="button" class={className} ref={button} aria-label={label} title={label} aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        {icon}
      </button>
      {isOpen && (
        <div class="menu" popover="auto" ref={list} aria-label={label} role="group" onToggle={(event) => closedByBrowser(event, setOpen)} onKeyDown={(event) => steer(event, list.current)}>
          {items.map((item) => (
            <button key={item.label} type="button" class={item.isLoss ? "loss" : ""} onClick={() => choose(item)}>
              {item.label}
            </button>
          ))}
        </div>
      )}
    </>
  );
}

function closedByBrowser(event: Event, setOpen: (isOpen: boolean) => void): void {
  // A press outside closes before the click on our button arrives; wait, or that click opens again.
  if ((event as ToggleEvent).newState === "closed") window.setTimeout(() => setOpen(false), 120);
}

function placeBeside(button: HTMLElement, list: HTMLElement): void {
  const from = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = list;
  const below = from.bottom + gap + height < window.innerHeight - edge;
  const left = Math.min(Math.max(edge, from.right - width), window.innerWidth - width - edge);
  list.style.left = `${left}px`;
  list.style.top = `${below ? from.bottom + gap : Math.max(edge, from.top - gap - height)}px`;
}

function steer(event: KeyboardEvent, list: HTMLElement | null): void {
  const items = [...(list?.querySelectorAll("button") ?? [])];
  const at = items.indexOf(document.activeElement as HTMLButtonElement);
  const steps: Record<string, number> = {
    ArrowDown: (at + 1) % items.length,
    ArrowUp: (at - 1 + items.length) % items.length,
    Home: 0,
    End: items.length - 1,
  };
  const next = steps[event.key];
  if (next === undefined || items.length === 0) return;
  event.preventDefault();
  items[next]?.focus();
}
