// The settings: devices, picture, sound, language. The same dialog before the meeting and in it; a change holds at once.
import { keep, useChoices } from './choices.js';
import { Dialog } from './dialog.jsx';
import { DeviceChoice, Level, Preview, Speakers, Switch, Choice, useDeviceList } from './pickers.jsx';
import { LANGUAGES, t } from './words.js';

/** meeting: the Meeting; tracks: what is open at the door, {microphone, camera}; in a meeting, what it sends is taken. */
export function SettingsDialog({ meeting, tracks, onClose }) {
    const choices = useChoices();
    const open = tracks ?? meeting.tracks;
    const list = useDeviceList(open.microphone, open.camera);
    return (
        <Dialog title={t('settings')} className="settings" onClose={onClose}>
            <section>
                <h3>{t('settingsPicture')}</h3>
                <div className="settings__picture">
                    <div className="mirror__picture mirror__picture--small">
                        <Preview track={'shown' in open ? open.shown : open.camera} />
                        {!open.camera && <p className="mirror__off">{t('cameraIsOff')}</p>}
                    </div>
                    <div className="settings__fields">
                        <DeviceChoice kind="camera" list={list} track={open.camera} />
                        <Choice label={t('blur')} value={choices.blur} hint={t(open.blur || 'blurHint')} onChange={(blur) => keep({ blur })}
                            options={['off', 'light', 'strong'].map((one) => [one, t(`blur_${one}`)])} />
                        <Switch name="isMirrored" label={t('mirror')} hint={t('mirrorHint')} />
                    </div>
                </div>
            </section>
            <section>
                <h3>{t('settingsSound')}</h3>
                <div className="settings__fields">
                    <DeviceChoice kind="microphone" list={list} track={open.microphone} />
                    {open.microphone ? <Level track={open.microphone} /> : <p className="field__hint">{t('microphoneIsOff')}</p>}
                    <Switch name="noiseSuppression" label={t('noiseSuppression')} />
                    <Switch name="echoCancellation" label={t('echoCancellation')} hint={t('echoHint')} />
                    <Speakers list={list} />
                </div>
            </section>
            <section>
                <h3>{t('settingsMeeting')}</h3>
                <div className="settings__fields">
                    <Choice label={t('quality')} value={choices.quality} hint={t('qualityHint')} onChange={(quality) => keep({ quality })}
                        options={[['auto', t('qualityAuto')], ['low', t('qualityLow')], ['none', t('qualityNone')]]} />
                    <Choice label={t('language')} value={choices.language} onChange={(language) => keep({ language })}
                        options={[['', t('languageBrowser')], ...Object.entries(LANGUAGES)]} />
                    <Switch name="sounds" label={t('soundsOn')} hint={t('soundsHint')} />
                    <p className="notice">{t('pushToTalkHint')}</p>
                </div>
            </section>
        </Dialog>
    );
}
