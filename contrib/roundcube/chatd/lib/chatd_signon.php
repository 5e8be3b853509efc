<?php

/**
 * chatd gave no token; the code is the HTTP status for the browser
 */
class chatd_refused extends Exception
{
}

/**
 * Signed requests from this server to chatd: a token for a person, the end of a session
 */
class chatd_signon
{
    private const PATH = '/api/v1/sso';
    private const KEY_LEAST = 32;

    /** @var rcmail */
    private $rc;

    public function __construct($rc)
    {
        $this->rc = $rc;
    }

    /**
     * A short-lived token for the chat
     *
     * @param string $address The person's mail address
     * @param string $name    Display name, may be empty
     * @param string $session Name of the session of Webmail
     *
     * @return array What chatd answered: token, address, expires_in and more
     * @throws chatd_refused
     */
    public function token($address, $name, $session)
    {
        list($status, $text) = $this->send('POST', ['address' => $address, 'name' => $name, 'session' => $session], 5);
        $answer = json_decode($text, true);

        if ($status == 200 && is_array($answer) && isset($answer['token'])) {
            return $answer;
        }

        throw new chatd_refused(self::reason($status, $answer), in_array($status, [403, 429], true) ? $status : 503);
    }

    /**
     * Ends the chat of a session. Nothing is thrown: whoever logs out is to be logged out of Webmail at any rate.
     */
    public function end($session)
    {
        try {
            list($status, $text) = $this->send('DELETE', ['session' => $session], 2);

            if ($status != 200) {
                throw new chatd_refused(self::reason($status, json_decode($text, true)));
            }
        }
        catch (chatd_refused $e) {
            rcube::raise_error(['code' => 600, 'file' => __FILE__, 'line' => __LINE__,
                'message' => 'chatd was not told of a log-out: ' . $e->getMessage()], true, false);
        }
    }

    /**
     * @return array HTTP status and body
     * @throws chatd_refused
     */
    private function send($method, $data, $timeout)
    {
        $config = $this->rc->config;
        $key    = $this->key();
        $body   = json_encode($data, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE);
        $time   = (string) time();
        $nonce  = bin2hex(random_bytes(16));
        $signed = implode("\n", [$method, self::PATH, $time, $nonce, hash('sha256', $body)]);
        $url    = $config->get('chatd_api_url') ?: $config->get('chatd_url');

        try {
            $answer = $this->rc->get_http_client()->request($method, rtrim($url, '/') . self::PATH, [
                'headers' => [
                    'Content-Type'      => 'application/json',
                    'X-Chatd-Webmail'   => $config->get('chatd_name', 'roundcube'),
                    'X-Chatd-Time'      => $time,
                    'X-Chatd-Nonce'     => $nonce,
                    'X-Chatd-Signature' => hash_hmac('sha256', $signed, $key),
                ],
                'body'            => $body,
                'timeout'         => $timeout,
                'connect_timeout' => 2,
                'verify'          => $config->get('chatd_verify', true),
                'http_errors'     => false,
                'allow_redirects' => false,
            ]);

            return [$answer->getStatusCode(), (string) $answer->getBody()];
        }
        catch (Exception $e) {
            throw new chatd_refused($e->getMessage(), 503);
        }
    }

    /**
     * The secret that chatd has for this Webmail
     *
     * @throws chatd_refused
     */
    private function key()
    {
        $file = $this->rc->config->get('chatd_key_file');
        $key  = is_readable($file) ? trim((string) file_get_contents($file)) : '';

        if (strlen($key) < self::KEY_LEAST) {
            throw new chatd_refused("the key file $file cannot be read, or has less than " . self::KEY_LEAST . ' characters', 503);
        }

        return $key;
    }

    /**
     * What chatd said, for the log
     */
    private static function reason($status, $answer)
    {
        $said = is_array($answer) ? ($answer['text'] ?? $answer['error'] ?? '') : '';

        return "HTTP status $status" . (is_string($said) && $said !== '' ? ", $said" : '');
    }
}
