use strict; use warnings; use Net::POP3;
my ($host, $port, $mode, $login, $password, $authority, $directory, $keep) = @ARGV;
my @tls = (SSL_ca_file => $authority, SSL_verify_mode => 1);
my $pop = Net::POP3->new($host, Port => $port, $mode eq 'tls' ? (SSL => 1, @tls) : ())
	or die "no connection: $@\n";
if ($mode eq 'stls') { $pop->starttls(@tls) or die "no starttls: $@\n"; }
my $count = $pop->login($login, $password);
die "login failed: ", $pop->message unless defined $count;
my @there = glob("$directory/*");
for my $number (1 .. $count) {
	open(my $file, '>', sprintf("%s/%05d", $directory, @there + $number)) or die;
	binmode $file;
	$pop->get($number, $file) or die "get $number failed\n";
	close $file;
	if ($keep eq 'delete') { $pop->delete($number) or die "delete failed\n"; }
}
$pop->quit or die "quit failed\n";
