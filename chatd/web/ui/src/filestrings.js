// What the panel says of files; a language is one file in lang/.
import english from './lang/files.en.js';
import { wordsOf } from './words.js';

export const WORDS = await wordsOf('files', english);
