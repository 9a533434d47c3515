/** Where each tile is drawn. Pure: slots and which of them play go in, grid cells come out. */

export interface Cell {
  column: number;
  row: number;
  span: number;
}

export interface Layout {
  columns: number;
  cells: Map<number, Cell>;
}

type Width = "phone" | "middle" | "wide";

interface Plan {
  columns: number;
  span: number;
  stage: readonly (readonly [column: number, row: number])[];
}

const quarter = [
  [1, 1],
  [3, 1],
  [1, 3],
  [3, 3],
] as const;

/** Up to four large tiles; previews fill what is free, row by row. */
function plan(playing: number, width: Width): Plan {
  if (width === "phone") return { columns: 3, span: 3, stage: [[1, 1]] };
  if (playing === 0) return { columns: 4, span: 1, stage: [] };
  if (playing === 1) return { columns: width === "wide" ? 6 : 4, span: 4, stage: [[1, 1]] };
  if (playing === 2 && width === "wide") return { columns: 6, span: 3, stage: [[1, 1], [4, 1]] };
  return { columns: width === "wide" ? 6 : 4, span: 2, stage: quarter };
}

export function arrange(order: readonly number[], playing: readonly number[], width: Width): Layout {
  const { columns, span, stage } = plan(playing.length, width);
  const cells = new Map<number, Cell>();
  const taken = new Set<string>();
  playing.slice(0, stage.length).forEach((index, at) => {
    const [column, row] = stage[at] ?? [1, 1];
    cells.set(index, { column, row, span });
    occupy(taken, column, row, span);
  });
  let next = 0;
  for (const index of order) {
    if (cells.has(index)) continue;
    while (taken.has(keyOf(next, columns))) next++;
    cells.set(index, { column: (next % columns) + 1, row: Math.floor(next / columns) + 1, span: 1 });
    next++;
  }
  return { columns, cells };
}

function occupy(taken: Set<string>, column: number, row: number, span: number): void {
  for (let x = 0; x < span; x++) for (let y = 0; y < span; y++) taken.add(`${column + x} ${row + y}`);
}

function keyOf(position: number, columns: number): string {
  return `${(position % columns) + 1} ${Math.floor(position / columns) + 1}`;
}

/** Who plays where on the stage: those who stay keep their place, newcomers take the free ones. */
export function keepPlaces(before: readonly string[], playing: ReadonlySet<string>): string[] {
  const newcomers = [...playing].filter((id) => !before.includes(id));
  const places: (string | undefined)[] = before.map((id) => (playing.has(id) ? id : newcomers.shift()));
  places.push(...newcomers);
  while (places.includes(undefined)) {
    const last = places.pop();
    if (last !== undefined) places[places.indexOf(undefined)] = last;
  }
  return places as string[];
}
