// Loaded before mxr: its wall clock is off by CLOCK_SHIFT_MS. (A time namespace moves the monotonic clock only.)
const RealDate = Date;
const shiftMs = Number(process.env['CLOCK_SHIFT_MS'] ?? '0');

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args: ConstructorParameters<DateConstructor> | []) =>
    args.length === 0 ? new target(target.now() + shiftMs) : Reflect.construct(target, args),
  get: (target, name) => (name === 'now' ? () => target.now() + shiftMs : Reflect.get(target, name)),
});
