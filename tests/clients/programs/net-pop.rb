require 'net/pop'
host, port, mode, login, password, authority, directory, keep = ARGV
Net::POP3.enable_ssl(OpenSSL::SSL::VERIFY_PEER, authority) if mode == 'tls'
start = Dir.children(directory).size
Net::POP3.start(host, port.to_i, login, password) do |pop|
  pop.mails.each_with_index do |mail, index|
    File.binwrite(format('%s/%05d', directory, start + index), mail.pop)
    mail.delete if keep == 'delete'
  end
end
