/** For CI: short storms that have every kind of fault and of set-up among them. A unit test says when a draw has changed. */
export const FIXED_SEEDS: readonly number[] = [
  105, 165, 169, 466, 583, 665, 771, 797, 965, 1143, 1417, 1572, 1927, 2494, 2501, 2590, 2716, 2854, 2857, 2987,
];
