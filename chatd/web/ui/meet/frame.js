// The page in a frame of the panel: what it tells the page around it and what that one asks for; and how a meeting goes
// on in a tab of its own. docs/protocol.md section 17.
import { KINDS, openAll } from './devices.js';

export const isFramed = window.parent !== window;
const CHANNEL = 'chatd-meeting';
const ANSWER_MS = 3_000;
const AGAIN_MS = 200;
const PICTURES_MS = 5_000; // so long is waited for the others' pictures at most, before the window goes

/** Who is heard, or was last: a nickname, '' for nobody. One's own voice does not count. */
function speakerOf({ people, occupants }) {
    const found = people.find((one) => one.isSpeaking && !one.isLocal);
    return (found && occupants.find((one) => one.media.includes(found.identity))?.nick) ?? '';
}

function seen(meeting) {
    const { state, mine } = meeting;
    return {
        chatd: 'meeting', phase: state.phase, problem: state.problem, name: state.info?.name ?? '', since: state.meeting?.since ?? '',
        people: state.occupants.length, waiting: state.waiting.length, unread: state.unread, speaker: speakerOf(state),
        microphone: mine.microphone, camera: mine.camera, mayMicrophone: meeting.may('microphone'), media: state.media,
        link: state.link, recording: state.meeting?.recording ?? 'off',
    };
}

/** Tells the page around this one how the meeting is, and does what that asks; `show(view)` is called with small or whole. */
export function live(meeting, show) {
    if (!isFramed) return;
    document.documentElement.classList.add('framed');
    let told = '';
    const tell = () => {
        const now = seen(meeting);
        const text = JSON.stringify(now);
        if (text !== told) parent.postMessage(now, location.origin);
        told = text;
    };
    addEventListener('message', ({ origin, source, data }) => {
        if (origin !== location.origin || source !== parent || data?.chatd !== 'window') return;
        if (data.view) {
            show(data.view);
            parent.postMessage({ chatd: 'shown', view: data.view }, location.origin);
        }
        if (data.do === 'leave') meeting.leave();
        if (data.do === 'microphone') meeting.set('microphone', Boolean(data.on));
        if (data.do === 'hand over') handOver(meeting, String(data.key));
    });
    meeting.subscribe(tell);
    tell();
}

/** Gives the meeting to the tab that was opened with this key: it comes in first, then this page leaves. */
function handOver(meeting, key) {
    const channel = new BroadcastChannel(CHANNEL);
    channel.onmessage = ({ data }) => {
        if (data?.key !== key) return;
        if (data.is === 'here') {
            channel.postMessage({ key, is: 'given', ...meeting.entry, microphone: meeting.mine.microphone, camera: meeting.mine.camera });
        } else if (data.is === 'in') {
            channel.close();
            parent.postMessage({ chatd: 'moved' }, location.origin);
            meeting.leave();
        }
    };
}

function until(meeting, isSo, within) {
    return new Promise((resolve, reject) => {
        const done = (end, value) => {
            unsubscribe();
            clearTimeout(late);
            clearInterval(again);
            end(value);
        };
        const look = () => {
            const found = isSo();
            if (found) done(resolve, found);
        };
        const unsubscribe = meeting.subscribe(look);
        const late = setTimeout(() => done(reject, new Error('late')), within ?? 2 ** 31 - 1);
        const again = setInterval(look, AGAIN_MS / 2); // what is waited for is not always told
        look();
    });
}

/** Goes on with the meeting of the window that opened this tab with this key; resolves when one is in, or has to be asked. */
export async function takeOver(meeting, key) {
    const channel = new BroadcastChannel(CHANNEL);
    try {
        let asking;
        const given = await new Promise((resolve, reject) => {
            setTimeout(() => reject(new Error('nobody answers')), ANSWER_MS);
            channel.onmessage = ({ data }) => { if (data?.key === key && data.is === 'given') resolve(data); };
            asking = setInterval(() => channel.postMessage({ key, is: 'here' }), AGAIN_MS);
            channel.postMessage({ key, is: 'here' });
        }).finally(() => clearInterval(asking));
        const { name, password, microphone, camera } = given;
        const wanted = { microphone, camera };
        const [open] = await Promise.all([
            openAll(KINDS.filter((kind) => wanted[kind])), until(meeting, () => meeting.state.phase !== 'loading'),
        ]);
        const tracks = { microphone: open.microphone?.track ?? null, camera: open.camera?.track ?? null };
        const isWanted = () => Object.keys(tracks).every((kind) => !tracks[kind] || meeting.mine[kind]);
        await meeting.join(name, password, tracks);
        await until(meeting, () => meeting.state.phase !== 'joining');
        if (meeting.state.phase !== 'in') return;
        const others = () => meeting.state.people.filter((one) => !one.isLocal && one.camera);
        const isShown = () => meeting.state.media === 'connected' && isWanted() && meeting.state.people.length > 1
            && others().every((one) => !one.camera.mediaStreamTrack.muted);
        // The pictures of the others have come: nobody misses anything now. (Nobody else may be there, or send any.)
        until(meeting, isShown, PICTURES_MS).catch(() => {}).then(() => {
            channel.postMessage({ key, is: 'in' });
            channel.close();
        });
    } catch (error) {
        channel.close();
        if (error.message !== 'nobody answers') throw error;
    }
}
