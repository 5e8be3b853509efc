// Sound and picture: livekit-client's room, seen as a list of people with their tracks.
import {
    createLocalVideoTrack, ConnectionState, DisconnectReason, LocalAudioTrack, LocalVideoTrack, Room, RoomEvent, ScreenSharePresets, Track,
    TrackEvent, VideoQuality,
} from 'livekit-client';
import { hasSpeakerChoice, orUsual, pictureConstraints, soundConstraints } from './devices.js';

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
const PERMITTED_MS = 3_000;
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
    #choices;
    #coming = null; // the camera of the preview, on its way out
    #encryption;
    #ended = new Set();

    /**
     * on: changed(), state('connected'|'reconnecting'), lost(isRemoved) when the connection has ended, slow() when this
     * machine is too slow for what was chosen; choices: of choices.js; encryption: of encryption.js, or null.
     */
    constructor(on, choices, encryption = null) {
        this.#on = on;
        this.#choices = choices;
        this.#encryption = encryption;
        this.#room = new Room({
            adaptiveStream: true, dynacast: true, publishDefaults: { simulcast: true, videoCodec: 'vp8' },
            audioOutput: choices.speakerId && hasSpeakerChoice() ? { deviceId: choices.speakerId } : undefined,
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
            .on(RoomEvent.TrackSubscribed, (track, publication) => this.#limit(publication))
            .on(RoomEvent.TrackUnsubscribed, (track) => {
                if (track.kind === Track.Kind.Audio) track.detach().forEach((one) => one.remove());
            })
            .on(RoomEvent.LocalTrackPublished, ({ source, track }) => {
                this.#ended.delete(source);
                track?.on(TrackEvent.Ended, () => this.#ended.add(source));
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

    /** Publishes the tracks of the preview: {microphone, camera}, each a MediaStreamTrack or null. Rejects as `set` does for the camera. */
    async publish(tracks, may) {
        const local = this.#room.localParticipant;
        const all = [];
        if (tracks.microphone && may('microphone')) {
            all.push(local.publishTrack(new LocalAudioTrack(tracks.microphone, undefined, false), { source: SOURCES.microphone }).catch(() => {}));
        } else tracks.microphone?.stop();
        if (tracks.camera && may('camera')) {
            this.#coming = this.#publishCamera(new LocalVideoTrack(tracks.camera, undefined, false));
            all.push(this.#coming);
        } else tracks.camera?.stop();
        const failed = (await Promise.allSettled(all)).find((one) => one.status === 'rejected');
        if (failed?.reason.message.startsWith('blur')) throw failed.reason;
    }

    /** The camera goes out blurred or not at all, where that was chosen: never for a moment as it is. */
    async #publishCamera(track) {
        try {
            await this.#blur(track);
            await this.#room.localParticipant.publishTrack(track, { source: SOURCES.camera });
        } catch (error) {
            track.stop();
            throw error;
        }
    }

    async #blur(track) {
        if (this.#choices.blur === 'off') return;
        const { blurOf } = await import('./effects.js');
        const processor = blurOf(this.#choices.blur, () => this.#on.slow());
        try {
            await track.setProcessor(processor);
            await processor.ready;
        } catch (error) {
            throw new Error('blurBroken', { cause: error });
        }
    }

    /** Switches a source on or off; rejects with the browser's error, or Error('blurUnsupported' | 'blurBroken'). */
    async set(source, isOn) {
        const local = this.#room.localParticipant;
        if (source === 'camera') await this.#coming?.catch(() => {}); // blurring takes a while to begin
        if (isOn) await this.#permitted(SOURCES[source]);
        if (source === 'microphone') await orUsual((by) => local.setMicrophoneEnabled(isOn, soundConstraints(by)), this.#choices);
        else if (source === 'screen') await local.setScreenShareEnabled(isOn, SCREEN, SCREEN_SENT);
        else if (!isOn || local.getTrackPublication(SOURCES.camera) || this.#choices.blur === 'off') {
            await orUsual((by) => local.setCameraEnabled(isOn, pictureConstraints(by)), this.#choices);
        } else await this.#publishCamera(await orUsual((by) => createLocalVideoTrack(pictureConstraints(by)), this.#choices));
    }

    /** The media server hears a moment after the room what somebody may do (again). */
    #permitted(source) {
        const isTold = () => {
            const { canPublish, canPublishSources: all } = this.#room.localParticipant.permissions ?? { canPublish: true, canPublishSources: [] };
            return canPublish && (!all.length || all.includes(Track.sourceToProto(source)));
        };
        if (isTold()) return Promise.resolve();
        return new Promise((resolve) => {
            const look = () => {
                if (!isTold()) return;
                this.#room.off(RoomEvent.ParticipantPermissionsChanged, look);
                resolve();
            };
            this.#room.on(RoomEvent.ParticipantPermissionsChanged, look);
            setTimeout(() => { this.#room.off(RoomEvent.ParticipantPermissionsChanged, look); resolve(); }, PERMITTED_MS);
        });
    }

    /** In an encrypted meeting nothing is shown or heard that came unencrypted, whoever says it is somebody's. */
    #isTrusted(publication) { return !this.#encryption || publication.isLocal || publication.isEncrypted; }

    /** Whether the device, or the sharing, has ended by itself. */
    hasEnded(source) { return this.#ended.has(SOURCES[source]); }

    /** Does what has been chosen anew; rejects with the kind ('microphone', …) as message when a device cannot be used. */
    async prefer(choices) {
        const before = this.#choices;
        this.#choices = choices;
        const isOther = (...keys) => keys.some((key) => before[key] !== choices[key]);
        const change = (kind, done) => done.catch((error) => { throw new Error(kind, { cause: error }); });
        const local = this.#room.localParticipant;
        const microphone = local.getTrackPublication(SOURCES.microphone)?.audioTrack;
        const camera = local.getTrackPublication(SOURCES.camera)?.videoTrack;
        if (isOther('quality')) for (const one of this.#room.remoteParticipants.values()) one.videoTrackPublications.forEach((found) => this.#limit(found));
        if (isOther('speakerId') && hasSpeakerChoice()) await change('speaker', this.#room.switchActiveDevice('audiooutput', choices.speakerId));
        if (isOther('microphoneId', 'noiseSuppression', 'echoCancellation') && microphone) {
            await change('microphone', microphone.restartTrack(soundConstraints(choices)));
        }
        // A camera that is off is opened again, by these choices, when it is switched on.
        if (isOther('cameraId') && camera) {
            await change('camera', camera.isMuted ? camera.setDeviceId({ exact: choices.cameraId }) : camera.restartTrack(pictureConstraints(choices)));
        }
        if (isOther('blur') && camera) await this.#reblur(camera);
        this.#on.changed();
    }

    async #reblur(camera) {
        const processor = camera.getProcessor();
        if (camera.isMuted) await this.#room.localParticipant.unpublishTrack(camera); // made anew, blurred, when it is switched on
        else if (this.#choices.blur === 'off') await camera.stopProcessor();
        else if (processor) await processor.change(this.#choices.blur);
        else {
            await this.#blur(camera).catch(async (error) => {
                await this.#room.localParticipant.unpublishTrack(camera);
                throw error;
            });
        }
    }

    /** Asks for small pictures of people where little data is to be used; a shared screen stays legible. */
    #limit(publication) {
        if (publication.kind !== Track.Kind.Video || publication.source !== SOURCES.camera || !publication.isSubscribed) return;
        const wanted = this.#choices.quality === 'low' ? VideoQuality.LOW : VideoQuality.HIGH;
        if (publication.videoQuality !== wanted) publication.setVideoQuality(wanted);
    }

    /** What this person sends, {microphone, camera}: each a MediaStreamTrack, or null while it is off. */
    get tracks() {
        const of = (source) => {
            const found = this.#room.localParticipant.getTrackPublication(SOURCES[source]);
            return found?.track && !found.isMuted ? found.track.mediaStreamTrack : null;
        };
        return { microphone: of('microphone'), camera: of('camera') };
    }

    /** After the browser refused to play sound: a click has come. */
    startAudio() { return this.#room.startAudio(); }

    get isConnected() { return this.#room.state === ConnectionState.Connected; }

    get isSilenced() { return this.#room.state === ConnectionState.Connected && !this.#room.canPlaybackAudio; }

    /**
     * Who is there: {identity, isLocal, isSpeaking, level, spokeAt, quality, hasSound, camera, screen, paused, isUnreadable,
     * isPlain}; the tracks as LiveKit's. paused: which of them, camera or screen, this line has no room for at the moment;
     * isUnreadable: encrypted with another key; isPlain: not encrypted where all should be.
     */
    people() {
        if (this.#room.state === ConnectionState.Disconnected) return [];
        return [this.#room.localParticipant, ...this.#room.remoteParticipants.values()].map((one) => {
            const of = (source) => {
                const found = one.getTrackPublication(SOURCES[source]);
                return found && !found.isMuted && found.track && this.#isTrusted(found) ? found.track : null;
            };
            const published = [...one.trackPublications.values()];
            const [camera, screen] = [of('camera'), of('screen')];
            const isPaused = (track) => track?.streamState === Track.StreamState.Paused;
            return {
                identity: one.identity, isLocal: one.isLocal, isSpeaking: one.isSpeaking, quality: one.connectionQuality,
                hasSound: one.isMicrophoneEnabled, camera, screen, paused: { camera: isPaused(camera), screen: isPaused(screen) },
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
