// Every sentence of ours that a person reads in the log-in page and the panel: a language is one file in lang/. What Converse.js
// says is in its own translations.
import english from './lang/panel.en.js';
import { wordsOf } from './words.js';

export const TEXT = await wordsOf('panel', english);
