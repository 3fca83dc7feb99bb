use strict; use warnings; use Mail::Box::Manager;
my ($host, $port, $mode, $login, $password, $authority, $directory, $keep) = @ARGV;
my $folder = Mail::Box::Manager->new->open(type => $mode eq 'tls' ? 'pop3s' : 'pop3',
	server_name => $host, server_port => $port, username => $login, password => $password,
	use_ssl => $mode eq 'tls',
	access => 'rw', folder => 'INBOX')
	or die "no folder\n";
my @there = glob("$directory/*");
my $number = @there;
for my $message ($folder->messages) {
	open(my $file, '>', sprintf("%s/%05d", $directory, ++$number)) or die;
	binmode $file;
	print $file $message->string;
	close $file;
	$message->delete if $keep eq 'delete';
}
$folder->close(write => 'MODIFIED');
