/** For CI: short storms that have every kind of fault and of set-up among them. A unit test says when a draw has changed. */
export const FIXED_SEEDS: readonly number[] = [
  112, 114, 569, 647, 734, 844, 942, 1053, 1211, 1457, 1648, 1652, 1751, 1798, 1808, 1900, 2173, 2716, 2781, 2946,
];
