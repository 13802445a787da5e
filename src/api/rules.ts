import { z } from 'zod';

/** One rule about several fields, told twice from one place: to the API server in CEL, and to zod. */
export interface Rule<T> {
  readonly cel: string;
  /** What is wrong and what to write instead; shown to whoever runs `kubectl apply`. */
  readonly message: string;
  /** Absent for transition rules (`oldSelf`), which only the API server can judge. */
  readonly holds?: (value: T) => boolean;
}

export const VALIDATIONS = 'x-kubernetes-validations';

/** `.refine()` alone is silently dropped from a JSON schema, so a refinement is only ever added together with its CEL twin. */
export function withRules<S extends z.ZodType>(schema: S, rules: readonly Rule<z.output<S>>[]): S {
  let checked: S = schema;
  for (const { holds, message } of rules) {
    if (holds !== undefined) checked = checked.refine(holds, { error: message });
  }
  return checked.meta({ [VALIDATIONS]: rules.map(({ cel, message }) => ({ rule: cel, message })) });
}

export function texts(maxItems: number, maxLength: number, pattern: RegExp): z.ZodDefault<z.ZodArray<z.ZodString>> {
  return z.array(z.string().min(1).max(maxLength).regex(pattern)).max(maxItems).default([]);
}
