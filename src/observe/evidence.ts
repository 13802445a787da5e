import type { Clock } from '../clock.ts';
import type { Answers, Evidence, Question } from '../domain/evidence.ts';
import { questionKey } from '../domain/evidence.ts';
import type { Fact } from '../domain/fact.ts';
import { known, unknown } from '../domain/fact.ts';
import { errorText, isMxrError } from '../errors.ts';

type Answer = Fact<Answers[Question['kind']]>;

export interface EvidenceOptions {
  readonly clock: Clock;
  /** Gets one answer; rejects when it could not be asked. */
  readonly ask: (question: Question) => Promise<Answers[Question['kind']]>;
  /** Called when an answer, or the failure to get one, is there. It must only enqueue. */
  readonly onAnswer: () => void;
}

/** Gets answers for the domain: each question once, failures again after a pause, bounded. */
export interface EvidenceStore {
  evidence(): Evidence;
  ask(questions: readonly Question[]): void;

  /** How many answers are kept. */
  size(): number;
}

const ASK_AGAIN_MS = 250;
const MAX_ANSWERS = 512;
/** Of one server at a time: each is a session of its own there, and may read megabytes. The next pass asks for the rest. */
const MAX_AT_ONCE = 4;

export function createEvidenceStore(options: EvidenceOptions): EvidenceStore {
  const answers = new Map<string, Answer>();
  /** The server that is asked, by question. */
  const inFlight = new Map<string, string>();

  return { evidence: () => answers, ask: (questions) => questions.forEach(askOne), size: () => answers.size };

  function askOne(question: Question): void {
    const key = questionKey(question);
    const before = answers.get(key);
    const failedLately = before?.known === false && options.clock.monotonicMs() - before.at < ASK_AGAIN_MS;
    if (inFlight.has(key) || before?.known === true || failedLately) return;
    const server = serverOf(question);
    const others = [...inFlight.values()].filter((one) => one === server);
    if (question.kind !== 'LiveLook' && others.length >= MAX_AT_ONCE) return;
    inFlight.set(key, server);
    void answer(question, key);
  }

  async function answer(question: Question, key: string): Promise<void> {
    const at = options.clock.monotonicMs();
    try {
      answers.set(key, known(await options.ask(question), at));
    } catch (error) {
      const code = isMxrError(error) ? error.code : 'Bug';
      answers.set(key, unknown(code, errorText(error), options.clock.monotonicMs()));
    }
    inFlight.delete(key);
    for (const oldest of answers.keys()) {
      if (answers.size <= MAX_ANSWERS) break;
      answers.delete(oldest);
    }
    options.onAnswer();
  }
}

function serverOf(question: Question): string {
  if (question.kind === 'LiveLook') return 'looks';
  if (question.kind === 'Transaction') return JSON.stringify(question.server);
  return 'member' in question ? JSON.stringify({ member: question.member }) : JSON.stringify({ pod: question.pod });
}
