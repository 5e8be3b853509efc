// The connection test: each way to the media server is tried by itself, with a room of its own in which nothing is sent
// (<trial/> in docs/protocol.md 8). LiveKit's signalling is spoken by hand, because livekit-client takes the first way that
// works and cannot be asked about the others.
import { SessionDescription, SignalRequest, SignalResponse, SignalTarget, TrickleRequest } from '@livekit/protocol';

const SIGNAL_MS = 8_000;
const MEDIA_MS = 8_000;
const CANDIDATE = /^a=candidate:\S+ \d+ (\w+) \d+ \S+ (\d+)/i;

/** One way failed: `reason` is signal, missing, unannounced, refused, silent. */
class Blocked extends Error {
    constructor(reason, port = '') {
        super(reason);
        this.port = port;
    }
}

const within = (ms, reason, promise) => Promise.race([
    promise, new Promise((_, reject) => { setTimeout(() => reject(new Blocked(reason)), ms); }),
]);

/** Of an answer, the candidates of one transport only; their port; whether there are others only. */
export function only(transport, sdp) {
    let port = '';
    let others = 0;
    const lines = sdp.split('\r\n').filter((line) => {
        const [, protocol, number] = CANDIDATE.exec(line) ?? [];
        if (!protocol) return true;
        if (protocol.toLowerCase() !== transport) { others += 1; return false; }
        port = number;
        return true;
    });
    return { sdp: lines.join('\r\n'), port, isUnannounced: !port && others > 0 };
}

/** Opens LiveKit's signalling: {join, send(message), messages}. */
async function signalling({ url, token }, on) {
    const query = new URLSearchParams({ access_token: token, auto_subscribe: '0', protocol: '16', sdk: 'js' });
    const socket = new WebSocket(`${url}/rtc?${query}`);
    socket.binaryType = 'arraybuffer';
    const send = (message) => socket.send(new SignalRequest({ message }).toBinary());
    const joined = new Promise((resolve, reject) => {
        socket.onerror = () => reject(new Blocked('signal'));
        socket.onclose = () => reject(new Blocked('signal'));
        socket.onmessage = (event) => {
            const { message } = SignalResponse.fromBinary(new Uint8Array(event.data));
            if (message.case === 'join') resolve(message.value);
            else on(message);
        };
    });
    const end = () => {
        if (socket.readyState === WebSocket.OPEN) send({ case: 'leave', value: {} });
        socket.close();
    };
    try {
        return { join: await within(SIGNAL_MS, 'signal', joined), send, end };
    } catch (error) {
        end();
        throw error;
    }
}

/** Tries one way: 'udp', 'tcp' or 'relay'. given: {url, token}. Gives {port}; rejects with Blocked. */
export async function tryWay(way, given) {
    const transport = way === 'tcp' ? 'tcp' : 'udp';
    let peer = null;
    let port = '';
    let why = 'silent';
    let answer;
    const answered = new Promise((resolve, reject) => { answer = { resolve, reject }; });
    answered.catch(() => {}); // where it fails before anybody waits for it
    const line = await signalling(given, (message) => {
        if (message.case === 'answer') {
            const found = only(transport, message.value.sdp);
            port ||= found.port;
            if (found.isUnannounced) answer.reject(new Blocked('unannounced'));
            else peer.setRemoteDescription({ type: 'answer', sdp: found.sdp }).then(answer.resolve, answer.reject);
        } else if (message.case === 'trickle' && message.value.target === SignalTarget.PUBLISHER) {
            const init = JSON.parse(message.value.candidateInit);
            const found = only(transport, `a=${init.candidate}`);
            port ||= found.port;
            if (found.port) answered.then(() => peer.addIceCandidate(init)).catch(() => {});
        }
    });
    try {
        const relays = line.join.iceServers
            .map(({ urls, username, credential }) => ({ urls: urls.filter((url) => /^turns?:/.test(url)), username, credential }))
            .filter((one) => one.urls.length);
        if (way === 'relay' && !relays.length) throw new Blocked('missing');
        peer = new RTCPeerConnection(way === 'relay' ? { iceServers: relays, iceTransportPolicy: 'relay' } : {});
        const connected = new Promise((resolve) => { peer.createDataChannel('_reliable').onopen = resolve; });
        peer.onicecandidate = ({ candidate }) => {
            if (candidate) line.send({ case: 'trickle', value: new TrickleRequest({ candidateInit: JSON.stringify(candidate), target: SignalTarget.PUBLISHER }) });
        };
        // 3xx to 6xx come from the relay itself; 701 means that it could not be reached.
        peer.onicecandidateerror = ({ errorCode }) => { if (errorCode < 700) why = 'refused'; };
        await peer.setLocalDescription(await peer.createOffer());
        line.send({ case: 'offer', value: new SessionDescription({ type: 'offer', sdp: peer.localDescription.sdp }) });
        await within(SIGNAL_MS, 'signal', answered);
        await within(MEDIA_MS, 'silent', connected);
        return { port };
    } catch (error) {
        const isSilent = error.message === 'silent';
        throw new Blocked(isSilent && way === 'relay' ? why : isSilent && !port ? 'unannounced' : error.message, port);
    } finally {
        peer?.close();
        line.end();
    }
}

export const WAYS = ['udp', 'tcp', 'relay'];

/**
 * The whole test. ask(): a trial, {url, token}, from the room; it rejects where the chat's own connection fails.
 * on(name, result): as each of server, udp, tcp, relay is known, {isGood, reason, port}.
 */
export async function check(ask, on) {
    const tell = (name, isGood, reason = '', port = '') => {
        const result = { isGood, reason, port };
        on(name, result);
        return [name, result];
    };
    let trials;
    try {
        trials = [await ask()];
        tell('server', true);
        trials.push(await ask(), await ask());
    } catch (error) {
        if (error.condition) tell('server', true);
        const known = { 'resource-constraint': 'often', 'service-unavailable': 'away' }[error.condition];
        return Object.fromEntries([error.condition ? ['server', { isGood: true }] : tell('server', false, 'server'),
            ...WAYS.map((way) => tell(way, false, known ?? 'untried'))]);
    }
    return Object.fromEntries([['server', { isGood: true }], ...await Promise.all(WAYS.map((way, at) => tryWay(way, trials[at]).then(
        ({ port }) => tell(way, true, '', port),
        (error) => tell(way, false, error instanceof Blocked ? error.message : 'silent', error.port))))]);
}

/** A key of the language files for what it all means, and the port it is about. */
export function verdict({ server, udp, tcp, relay }) {
    const port = udp?.port || tcp?.port || '7882';
    if (!server.isGood) return ['checkNoServer', { port }];
    if ([udp, tcp, relay].some((one) => ['often', 'away'].includes(one.reason))) return [udp.reason === 'often' ? 'checkOften' : 'checkAway', { port }];
    if ([udp, tcp].every((one) => ['signal', 'untried'].includes(one.reason))) return ['checkNoSignal', { port }];
    if (udp.isGood) return ['checkAllGood', { port }];
    if (tcp.isGood) return ['checkTcpOnly', { port }];
    if (relay.isGood) return ['checkRelayOnly', { port }];
    return [relay.reason === 'missing' ? 'checkNothingNoRelay' : 'checkNothing', { port }];
}
