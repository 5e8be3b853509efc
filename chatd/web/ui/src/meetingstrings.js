// What the panel says of meetings; a language is one file in lang/.
import english from './lang/meetings.en.js';
import { wordsOf } from './words.js';

export const WORDS = await wordsOf('meetings', english);
