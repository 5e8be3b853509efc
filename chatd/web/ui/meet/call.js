// Sound and picture: livekit-client's room, seen as a list of people with their tracks.
import {
    ConnectionState, DisconnectReason, LocalAudioTrack, LocalVideoTrack, Room, RoomEvent, ScreenSharePresets, Track,
} from 'livekit-client';

const SOURCES = { microphone: Track.Source.Microphone, camera: Track.Source.Camera, screen: Track.Source.ScreenShare };
// Of a screen every letter has to be readable, at a few pictures a second; what moves on it may stutter.
const SCREEN = {
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false }, resolution: ScreenSharePresets.h1080fps15.resolution,
    contentHint: 'detail', selfBrowserSurface: 'exclude', surfaceSwitching: 'include', systemAudio: 'include',
};
const SCREEN_SENT = {
    screenShareEncoding: { maxBitrate: 3_000_000, maxFramerate: 15, priority: 'medium' }, degradationPreference: 'maintain-resolution',
    screenShareSimulcastLayers: [ScreenSharePresets.h360fps3],
};
const SEEN = [
    'ParticipantConnected', 'ParticipantDisconnected', 'TrackSubscribed', 'TrackUnsubscribed', 'TrackMuted', 'TrackUnmuted',
    'TrackPublished', 'TrackUnpublished', 'LocalTrackPublished', 'LocalTrackUnpublished', 'ActiveSpeakersChanged',
    'ConnectionQualityChanged', 'ParticipantPermissionsChanged', 'AudioPlaybackStatusChanged', 'TrackStreamStateChanged',
    'Connected', 'SignalReconnecting', 'Reconnecting', 'Reconnected', 'ActiveDeviceChanged',
];

export class Call {
    #room;
    #on;
    #speakers = document.createElement('div');
    #isLeaving = false;
    #encryption;

    /**
     * on: changed(), state('connected'|'reconnecting'), lost(isRemoved) when the connection has ended;
     * encryption: of encryption.js, or null.
     */
    constructor(on, encryption = null) {
        this.#on = on;
        this.#encryption = encryption;
        this.#room = new Room({
            adaptiveStream: true, dynacast: true, publishDefaults: { simulcast: true, videoCodec: 'vp8' },
            ...(encryption ? { e2ee: encryption.options } : {}),
        });
        for (const name of SEEN) this.#room.on(RoomEvent[name], () => on.changed());
        this.#speakers.hidden = true;
        document.body.append(this.#speakers);
        this.#room
            .on(RoomEvent.EncryptionError, (error, participant) => {
                if (encryption?.failed(error, participant?.identity)) on.changed();
            })
            .on(RoomEvent.TrackSubscribed, (track, publication) => {
                if (track.kind === Track.Kind.Audio && this.#isTrusted(publication)) this.#speakers.append(track.attach());
            })
            .on(RoomEvent.TrackUnsubscribed, (track) => {
                if (track.kind === Track.Kind.Audio) track.detach().forEach((one) => one.remove());
            })
            .on(RoomEvent.Reconnecting, () => on.state('reconnecting'))
            .on(RoomEvent.Reconnected, () => on.state('connected'))
            .on(RoomEvent.Disconnected, (reason) => {
                this.#speakers.replaceChildren();
                if (!this.#isLeaving) on.lost(reason === DisconnectReason.PARTICIPANT_REMOVED);
            });
    }

    /** Connects; rejects when that does not work. */
    async connect(url, token) {
        if (this.#encryption) await this.#room.setE2EEEnabled(true);
        await this.#room.connect(url, token, { autoSubscribe: true });
        this.#on.state('connected');
    }

    /** Publishes the tracks of the preview: {microphone, camera}, each a MediaStreamTrack or null. */
    async publish(tracks, may) {
        const local = this.#room.localParticipant;
        const all = [];
        if (tracks.microphone && may('microphone')) {
            all.push(local.publishTrack(new LocalAudioTrack(tracks.microphone, undefined, false), { source: SOURCES.microphone }));
        } else tracks.microphone?.stop();
        if (tracks.camera && may('camera')) {
            all.push(local.publishTrack(new LocalVideoTrack(tracks.camera, undefined, false), { source: SOURCES.camera }));
        } else tracks.camera?.stop();
        await Promise.allSettled(all);
    }

    /** Switches a source on or off; rejects with the browser's error. */
    async set(source, isOn, deviceId) {
        const local = this.#room.localParticipant;
        if (source === 'microphone') await local.setMicrophoneEnabled(isOn, deviceId ? { deviceId } : undefined);
        else if (source === 'camera') await local.setCameraEnabled(isOn, deviceId ? { deviceId } : undefined);
        else await local.setScreenShareEnabled(isOn, SCREEN, SCREEN_SENT);
    }

    /** In an encrypted meeting nothing is shown or heard that came unencrypted, whoever says it is somebody's. */
    #isTrusted(publication) { return !this.#encryption || publication.isLocal || publication.isEncrypted; }

    /** Takes another device: kind is microphone, camera or speaker. */
    choose(kind, deviceId) {
        const kinds = { microphone: 'audioinput', camera: 'videoinput', speaker: 'audiooutput' };
        return this.#room.switchActiveDevice(kinds[kind], deviceId);
    }

    /** After the browser refused to play sound: a click has come. */
    startAudio() { return this.#room.startAudio(); }

    get isSilenced() { return this.#room.state === ConnectionState.Connected && !this.#room.canPlaybackAudio; }

    /**
     * Who is there: {identity, isLocal, isSpeaking, level, spokeAt, quality, hasSound, camera, screen, isUnreadable, isPlain};
     * the tracks as LiveKit's. isUnreadable: encrypted with another key; isPlain: not encrypted where all should be.
     */
    people() {
        if (this.#room.state === ConnectionState.Disconnected) return [];
        return [this.#room.localParticipant, ...this.#room.remoteParticipants.values()].map((one) => {
            const of = (source) => {
                const found = one.getTrackPublication(SOURCES[source]);
                return found && !found.isMuted && found.track && this.#isTrusted(found) ? found.track : null;
            };
            const published = [...one.trackPublications.values()];
            return {
                identity: one.identity, isLocal: one.isLocal, isSpeaking: one.isSpeaking, quality: one.connectionQuality,
                hasSound: one.isMicrophoneEnabled, camera: of('camera'), screen: of('screen'),
                level: one.audioLevel, spokeAt: one.lastSpokeAt?.getTime() ?? 0,
                isUnreadable: Boolean(this.#encryption?.isUnreadable(one.identity)),
                isPlain: published.some((found) => !this.#isTrusted(found)),
            };
        });
    }

    /** Ends it and closes the devices. */
    async leave() {
        this.#isLeaving = true;
        await this.#room.disconnect(true);
        this.#encryption?.end();
        this.#speakers.remove();
    }
}
