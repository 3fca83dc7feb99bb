import jakarta.mail.Flags;
import jakarta.mail.Folder;
import jakarta.mail.Message;
import jakarta.mail.Session;
import jakarta.mail.Store;
import java.io.FileOutputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;

public class Pop {
	public static void main(String[] a) throws Exception {
		String protocol = a[2].equals("tls") ? "pop3s" : "pop3";
		Properties properties = new Properties();
		if (a[2].equals("stls"))
			properties.put("mail.pop3.starttls.enable", "true");
		Store store = Session.getInstance(properties).getStore(protocol);
		store.connect(a[0], Integer.parseInt(a[1]), a[3], a[4]);
		Folder folder = store.getFolder("INBOX");
		folder.open(Folder.READ_WRITE);
		long there;
		try (var files = Files.list(Path.of(a[6]))) {
			there = files.count();
		}
		for (Message message : folder.getMessages()) {
			Path path = Path.of(a[6], String.format("%05d", ++there));
			try (OutputStream out = new FileOutputStream(path.toFile())) {
				message.writeTo(out);
			}
			message.setFlag(Flags.Flag.DELETED, a[7].equals("delete"));
		}
		folder.close(true);
		store.close();
	}
}
