// `npm run check`: what CI runs.
import './run.ts';
