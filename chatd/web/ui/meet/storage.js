// Before everything else: in the panel in a page of another site there may be no storage.
import { ensureStorage } from '../src/storage.js';

ensureStorage();
