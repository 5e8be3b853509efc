// What opens beside the pictures: each a button in the bar, or with `isInMenu` an entry of the More menu.
import { Chat } from './chat.jsx';
import { People } from './people.jsx';
import { t } from './words.js';

/** As the badge shows it: what a button says has to have in it what it shows. */
const most = (number) => (number > 99 ? '99+' : number);

/**
 * name: its word in the language files too; Panel: the view, given {meeting, state, onClose}; badge(state): a number on its
 * button; label(state): what the button says; may(meeting): whether this person has it.
 */
export const PANELS = [
    {
        name: 'chat', icon: 'chat', Panel: Chat, badge: (state) => state.unread,
        label: (state) => (state.unread ? `${t('chat')}: ${t('newMessages', { n: most(state.unread) })}` : t('chat')),
    },
    {
        name: 'people', icon: 'people', Panel: People, badge: (state) => state.waiting.length,
        label: ({ waiting }) => (waiting.length ? `${t('people')}: ${t('peopleWait', { n: most(waiting.length) })}` : t('people')),
    },
];

/** Those that this person has. */
export const panelsOf = (meeting) => PANELS.filter((one) => !one.may || one.may(meeting));

export const labelOf = (panel, state) => panel.label?.(state) ?? t(panel.name);
