import { LiveGrid, useLive } from "./live-grid";

export function Discover() {
  const live = useLive();
  return (
    <div class="page">
      <h1>Discover</h1>
      <p class="quiet">Everybody who is live, the most watched first.</p>
      <LiveGrid live={live} empty="Nobody is live at the moment." />
    </div>
  );
}
