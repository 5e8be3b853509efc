// How long nobody has moved.

/**
 * COMPAT(Converse 14.0.0): it counts the ticks of a timer, and browsers let those of a tab that nobody sees come once a minute. Whoever
 * left two tabs open would be away in the one in front only, and so to nobody. Here the clock says it.
 */
export function idleByTheClock(converse, { api }) {
    const { idle } = api.user;
    const { get, set } = idle;
    let since = Date.now();
    idle.set = (status) => {
        if (status.seconds === 0) since = Date.now();
        set.call(idle, status);
    };
    idle.get = () => ({ ...get.call(idle), seconds: Math.floor((Date.now() - since) / 1000) });
}
