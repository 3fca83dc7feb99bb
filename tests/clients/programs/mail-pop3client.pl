use strict; use warnings; use Mail::POP3Client;
my ($host, $port, $mode, $login, $password, $authority, $directory, $keep) = @ARGV;
my $pop = Mail::POP3Client->new(HOST => $host, PORT => $port, USER => $login,
	PASSWORD => $password, $mode eq 'tls' ? (USESSL => 1, SSL_ca_file => $authority) : ());
die "login failed: ", $pop->Message, "\n" unless $pop->Alive and $pop->State eq 'TRANSACTION';
my @there = glob("$directory/*");
for my $number (1 .. $pop->Count) {
	open(my $file, '>', sprintf("%s/%05d", $directory, @there + $number)) or die;
	binmode $file;
	$pop->HeadAndBodyToFile($file, $number);
	close $file;
	$pop->Delete($number) if $keep eq 'delete';
}
$pop->Close;
