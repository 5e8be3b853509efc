<?php

/**
 * Chat and video meetings in Roundcube, by a chatd server
 *
 * After log-in each whole-screen address of Roundcube is answered twice: a browser that opens it in a tab gets a small page,
 * the shell, which shows Roundcube in a frame and the chat beside it; the frame asks for the same address and gets Roundcube.
 * So the chat, and a meeting, live on while Roundcube loads page after page. What asks is told by the browser's header
 * Sec-Fetch-Dest; where there is none, the chat is in each page itself.
 *
 * @license MIT
 * @see README.md
 */
class chatd extends rcube_plugin
{
    /** Addresses known to be whole screens: the shell is sent before Roundcube does any work. */
    private const SCREENS = [
        'mail'        => ['', 'list', 'show', 'compose'],
        'addressbook' => [''],
        'settings'    => ['', 'preferences', 'folders', 'identities', 'responses', 'about'],
    ];

    /** What a browser opens as a document of its own and what is no screen: files, things to print. */
    private const NO_SCREENS = ['get', 'viewsource', 'print', 'export', 'headers', 'download'];

    /** Parameters of pop-ups, frames, background requests and downloads. */
    private const NO_SCREEN_PARAMS = ['_extwin', '_framed', '_remote', '_download', '_unlock'];

    /** What the shell's frame has more in its address than the tab: no browser shows a page in a frame of the same address. */
    private const MARK = '_chatd';

    /** @var rcmail */
    private $rc;

    /**
     * Plugin initialization
     */
    public function init()
    {
        $this->rc = rcmail::get_instance();
        $this->load_config();
        require_once __DIR__ . '/lib/chatd_signon.php';
        self::forget_mark();

        $this->add_hook('startup', [$this, 'startup']);
        $this->add_hook('common_headers', [$this, 'common_headers']);
        $this->add_hook('render_page', [$this, 'render_page']);
        $this->add_hook('session_destroy', [$this, 'session_destroy']);
        $this->register_action('plugin.chatd.token', [$this, 'token']);

        if ($this->rc->task == 'mail' && $this->is_on()) {
            $this->add_texts('localization/');
            $this->add_button([
                'type'     => 'link',
                'command'  => 'plugin.chatd.chat',
                'class'    => 'chatd-chat disabled',
                'classact' => 'chatd-chat',
                'label'    => 'chatd.chatwithsender',
            ], 'headerlinks');
        }

        if ($this->rc->task == 'settings') {
            $this->add_hook('preferences_sections_list', [$this, 'preferences_sections_list']);
            $this->add_hook('preferences_list', [$this, 'preferences_list']);
            $this->add_hook('preferences_save', [$this, 'preferences_save']);
        }
    }

    /**
     * Hook startup: the shell, for screens that are known
     */
    public function startup($args)
    {
        if (in_array($args['action'], self::SCREENS[$args['task']] ?? [], true) && $this->wants_shell()
            // Roundcube itself looks at the cookie only later, and an ended session is to get the log-in page
            && $this->rc->session->check_auth()
        ) {
            $this->send_shell();
        }

        return $args;
    }

    /**
     * Hook common_headers: the frame has to be allowed even where the site says "deny"
     */
    public function common_headers($args)
    {
        $headers = &$args['headers'];

        if (self::fetched('Dest') == 'iframe' && self::fetched('Site') == 'same-origin'
            && strtolower($headers['X-Frame-Options'] ?? '') == 'deny'
        ) {
            $headers['X-Frame-Options'] = 'sameorigin';
        }

        // One address, two answers
        $headers['Vary'] = 'Sec-Fetch-Dest';

        return $args;
    }

    /**
     * Hook render_page: the shell for screens of other plugins; else what connects the page with the chat
     */
    public function render_page($args)
    {
        if ($this->rc->output->type != 'html') {
            return $args;
        }

        $is_framed = (bool) $this->rc->output->get_env('framed');

        if ($this->rc->task == 'login' && self::fetched('Dest') == 'document' && $this->has_shell()) {
            $this->fetch_ahead();
        }

        // A request with a token does something, and the frame would have it done once more
        if (!$is_framed && empty($_GET['_token']) && $this->wants_shell()) {
            $args['content'] = $this->shell();
            return $args;
        }

        if ($this->is_on()) {
            $this->connect_page($is_framed);
        }
        else if (!$is_framed && self::fetched('Dest') == 'iframe') {
            // Chat was switched off, or this is the log-in page: the shell has to hear of it
            $this->include_script('page.js');
        }

        return $args;
    }

    /**
     * Hook session_destroy: who logs out of Webmail is logged out of the chat
     */
    public function session_destroy($args)
    {
        if (!empty($_SESSION['user_id']) && $this->is_configured()) {
            $this->signon()->end($this->session_name());
        }

        return $args;
    }

    /**
     * Action plugin.chatd.token: a fresh token for the chat of whoever is logged in
     *
     * Only for requests of Roundcube's own pages: the request token has to come in a header, which no other site can send.
     */
    public function token()
    {
        $token = rcube_utils::request_header('X-Roundcube-Request');
        $site  = self::fetched('Site');

        if (!is_string($token) || !hash_equals($this->rc->get_request_token(), $token)
            || !in_array($site, ['', 'same-origin'], true)
        ) {
            $this->answer(403, ['error' => 'forbidden']);
        }

        if (!$this->is_on()) {
            $this->answer(403, ['error' => 'off']);
        }

        $person = $this->rc->plugins->exec_hook('chatd_person', $this->person() + ['abort' => false]);

        if ($person['abort'] || $person['address'] === '') {
            $this->answer(403, ['error' => 'refused']);
        }

        try {
            $this->answer(200, $this->signon()->token($person['address'], $person['name'], $this->session_name()));
        }
        catch (chatd_refused $e) {
            rcube::raise_error(['code' => 600, 'file' => __FILE__, 'line' => __LINE__,
                'message' => 'chatd gave no token for ' . $person['address'] . ': ' . $e->getMessage()], true, false);

            $code = $e->getCode();
            $this->answer($code, ['error' => $code == 403 ? 'refused' : 'unavailable']);
        }
    }

    /**
     * Hook preferences_sections_list
     */
    public function preferences_sections_list($args)
    {
        $this->add_texts('localization/');
        $args['list']['chatd'] = ['id' => 'chatd', 'section' => $this->gettext('chat')];
        $this->include_stylesheet('page.css');

        return $args;
    }

    /**
     * Hook preferences_list: the one setting people have
     */
    public function preferences_list($args)
    {
        if ($args['section'] != 'chatd' || in_array('chatd_enabled', (array) $this->rc->config->get('dont_override'))) {
            return $args;
        }

        $this->add_texts('localization/');
        $box = new html_checkbox(['name' => '_chatd_enabled', 'id' => 'chatd-enabled', 'value' => 1]);

        $args['blocks']['main'] = [
            'name'    => $this->gettext('chat'),
            'options' => [
                'chatd_enabled' => [
                    'title'   => html::label('chatd-enabled', rcube::Q($this->gettext('showchat'))),
                    'content' => $box->show($this->rc->config->get('chatd_enabled', true) ? 1 : 0),
                ],
            ],
        ];

        return $args;
    }

    /**
     * Hook preferences_save
     */
    public function preferences_save($args)
    {
        if ($args['section'] == 'chatd') {
            $is_on = (bool) rcube_utils::get_input_value('_chatd_enabled', rcube_utils::INPUT_POST);
            $args['prefs']['chatd_enabled'] = $is_on;

            if ($is_on != $this->rc->config->get('chatd_enabled', true)) {
                $this->rc->output->command('reload', 500);
            }
        }

        return $args;
    }

    /**
     * Scripts and texts of one of Roundcube's pages
     *
     * @param bool $is_framed A preview, or another frame in a page of Roundcube
     */
    private function connect_page($is_framed)
    {
        $output = $this->rc->output;

        // In the shell the chat is there already; a pop-up uses that of the page which opened it
        $is_alone = !$is_framed && self::fetched('Dest') != 'iframe' && empty($_GET['_extwin']);

        $this->add_texts('localization/', ['nochat']);
        $output->set_env('chatd', [
            'address'   => $this->person()['address'],
            'chat'      => $is_alone ? $this->chat_url() : null,
            'token_url' => $is_alone ? $this->token_url() : null,
        ]);
        $this->include_stylesheet('page.css');

        if ($is_alone) {
            $this->include_script('chat.js');
        }

        $this->include_script('page.js');
    }

    /**
     * What the first page after the log-in needs of ours comes while people type
     */
    private function fetch_ahead()
    {
        foreach (['shell.css', 'chat.js', 'shell.js'] as $name) {
            $this->rc->output->add_header(html::tag('link',
                ['rel' => 'prefetch', 'href' => $this->assets() . $name . '?v=' . self::version(), 'nl' => true]));
        }

        foreach (['page.css', 'page.js'] as $name) {
            $this->rc->output->add_header(html::tag('link', ['rel' => 'prefetch', 'href' => "plugins/chatd/$name", 'nl' => true]));
        }
    }

    /**
     * Whether this request wants the shell
     */
    private function wants_shell()
    {
        return self::fetched('Dest') == 'document'
            && ($_SERVER['REQUEST_METHOD'] ?? '') == 'GET'
            && !array_intersect_key(array_filter($_GET), array_flip(self::NO_SCREEN_PARAMS))
            && !in_array($this->rc->task, ['login', 'logout', 'utils', 'cli'])
            && !in_array($this->rc->action, self::NO_SCREENS)
            && $this->has_shell()
            && $this->is_on();
    }

    /**
     * Ends the request with the shell, which does not wait for Roundcube to write its session
     */
    private function send_shell()
    {
        echo $this->shell();

        while (ob_get_level() > 0 && ob_end_flush()) {
            continue;
        }

        flush();

        if (function_exists('fastcgi_finish_request')) {
            fastcgi_finish_request();
        }

        exit;
    }

    /**
     * The shell page; nothing of it depends on who is logged in
     */
    private function shell()
    {
        $chat = $this->chat_url();

        header('Content-Type: text/html; charset=UTF-8');
        header('Cache-Control: private, no-store');
        header('Vary: Sec-Fetch-Dest');
        header('X-Frame-Options: sameorigin');
        header('Referrer-Policy: same-origin');
        header('X-Content-Type-Options: nosniff');
        header("Content-Security-Policy: default-src 'none'; script-src 'self' $chat; style-src 'self' $chat; "
            . "img-src 'self' data: $chat; connect-src 'self' $chat; frame-src 'self' $chat; "
            . "base-uri 'none'; form-action 'none'; frame-ancestors 'self'");

        return strtr(file_get_contents(__DIR__ . '/shell.html'), [
            '{language}'  => rcube::Q(str_replace('_', '-', (string) ($_SESSION['language'] ?? 'en'))),
            '{title}'     => rcube::Q($this->rc->config->get('product_name')),
            '{assets}'    => rcube::Q($this->assets()),
            '{version}'   => self::version(),
            '{chat}'      => rcube::Q($chat),
            '{token_url}' => rcube::Q($this->token_url()),
            '{frame}'     => rcube::Q(self::frame_url()),
        ]);
    }

    /**
     * Whose chat it is: address and display name
     *
     * The address is the log-in name. An identity is what people may write about themselves, so its address counts only
     * where the site lets nobody change it.
     */
    private function person()
    {
        $config   = $this->rc->config;
        $identity = (array) $this->rc->user->get_identity();
        $address  = $this->rc->get_user_name();
        $is_fixed = in_array((int) $config->get('identities_level', 0), [1, 3, 4], true);

        if ($config->get('chatd_address', 'user') == 'identity' && $is_fixed && !empty($identity['email'])) {
            $address = $identity['email'];
        }
        else {
            $domain = $config->get('chatd_domain');
            $at     = strrpos($address, '@');

            if (is_array($domain)) {
                // Each mail server speaks for its own domain only
                $own = (string) ($domain[$_SESSION['storage_host'] ?? ''] ?? '');

                if ($own === '' || ($at !== false && strcasecmp(substr($address, $at + 1), $own) !== 0)) {
                    $address = '';
                }
                else if ($at === false) {
                    $address = "$address@$own";
                }
            }
            else if ($at === false) {
                $address = $domain ? "$address@$domain" : (string) $this->rc->user->get_username('mail');
            }
        }

        return ['address' => $address, 'name' => (string) ($identity['name'] ?? '')];
    }

    /**
     * A name for this session of Webmail that nothing else can be done with
     */
    private function session_name()
    {
        return hash_hmac('sha256', session_id(), 'chatd ' . $this->rc->config->get('des_key'));
    }

    private function signon()
    {
        return new chatd_signon($this->rc);
    }

    /**
     * Somebody is logged in, and wants the chat
     */
    private function is_on()
    {
        return !empty($this->rc->user->ID) && $this->is_configured() && $this->rc->config->get('chatd_enabled', true);
    }

    private function has_shell()
    {
        return $this->is_configured() && $this->rc->config->get('chatd_shell', true);
    }

    private function is_configured()
    {
        return $this->chat_url() !== '' && $this->rc->config->get('chatd_key_file', '') != '';
    }

    /**
     * The address of chatd without a path, as browsers reach it; empty where there is none, or it is no address
     */
    private function chat_url()
    {
        $url = rtrim((string) $this->rc->config->get('chatd_url', ''), '/');

        // It goes into a header and into pages
        return preg_match('!^https?://[A-Za-z0-9.:\[\]-]+$!', $url) ? $url : '';
    }

    /**
     * Where the browser asks for tokens
     */
    private function token_url()
    {
        return $this->rc->url(['_task' => 'mail', '_action' => 'plugin.chatd.token']);
    }

    /**
     * Where the browser finds the plugin's files
     */
    private function assets()
    {
        return $this->rc->output->asset_url('plugins/chatd/', true);
    }

    /**
     * Where the shell's frame finds Roundcube: the address of the tab, whatever proxies have made of its path, with the mark
     */
    private static function frame_url()
    {
        $query = strstr((string) ($_SERVER['REQUEST_URI'] ?? ''), '?');

        return ($query === false || $query === '?' ? '?' : "$query&") . self::MARK . '=1';
    }

    /**
     * Roundcube is not to see the mark, which would go on into the addresses that it makes
     */
    private static function forget_mark()
    {
        if (isset($_GET[self::MARK])) {
            unset($_GET[self::MARK], $_REQUEST[self::MARK]);

            foreach (['QUERY_STRING', 'REQUEST_URI'] as $name) {
                $_SERVER[$name] = preg_replace('/[?&]?' . self::MARK . '=1$/', '', (string) ($_SERVER[$name] ?? ''));
            }
        }
    }

    /**
     * Changes with the files, so that no browser mixes old and new ones
     */
    private static function version()
    {
        return (string) max(array_map('filemtime', array_merge(glob(__DIR__ . '/*.js'), glob(__DIR__ . '/*.css'))));
    }

    /**
     * One of the browser's headers Sec-Fetch-...
     */
    private static function fetched($what)
    {
        return (string) ($_SERVER['HTTP_SEC_FETCH_' . strtoupper($what)] ?? '');
    }

    /**
     * Ends the request with JSON
     */
    private function answer($code, $data)
    {
        http_response_code($code);
        header('Content-Type: application/json; charset=UTF-8');
        header('Cache-Control: no-store');
        header('X-Content-Type-Options: nosniff');
        exit(json_encode($data, JSON_UNESCAPED_SLASHES));
    }
}
