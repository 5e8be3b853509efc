// What opens beside the pictures: each a button in the bar, or with `isInMenu` an entry of the More menu.
import { Chat, People } from './aside.jsx';
import { t } from './words.js';

/**
 * name: its word in the language files too; Panel: the view, given {meeting, state, onClose}; badge(state): a number on its
 * button; label(state): what the button says; may(meeting): whether this person has it.
 */
export const PANELS = [
    {
        name: 'chat', icon: 'chat', Panel: Chat, badge: (state) => state.unread,
        label: (state) => (state.unread ? `${t('chat')}: ${t('newMessages', { n: state.unread })}` : t('chat')),
    },
    { name: 'people', icon: 'people', Panel: People, badge: (state) => state.waiting.length },
];

/** Those that this person has. */
export const panelsOf = (meeting) => PANELS.filter((one) => !one.may || one.may(meeting));

export const labelOf = (panel, state) => panel.label?.(state) ?? t(panel.name);
