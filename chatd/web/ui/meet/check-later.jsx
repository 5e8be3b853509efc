// The connection test, fetched when somebody asks for it.
import { lazy, Suspense } from 'react';

const Loaded = lazy(() => import('./check.jsx').then(({ CheckDialog }) => ({ default: CheckDialog })));

/** See CheckDialog in check.jsx. */
export const CheckDialog = (props) => <Suspense><Loaded {...props} /></Suspense>;
