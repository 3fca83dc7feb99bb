<?php
[, $host, $port, $mode, $login, $password, $authority, $directory, $keep] = $argv;
$flags = ['clear' => '/notls', 'stls' => '/tls', 'tls' => '/ssl'][$mode];
$box = imap_open("{{$host}:$port/pop3$flags}INBOX", $login, $password, $keep == 'delete' ? CL_EXPUNGE : 0, 1);
if (!$box) {
	fwrite(STDERR, implode("\n", imap_errors() ?: []) . "\n");
	exit(1);
}
$start = count(scandir($directory));
for ($number = 1; $number <= imap_num_msg($box); $number++) {
	imap_savebody($box, sprintf('%s/%05d', $directory, $start + $number), $number) || exit(2);
	if ($keep == 'delete') {
		imap_delete($box, $number);
	}
}
$errors = imap_errors();
imap_close($box, $keep == 'delete' ? CL_EXPUNGE : 0);
if ($errors) {
	fwrite(STDERR, implode("\n", $errors) . "\n");
}
