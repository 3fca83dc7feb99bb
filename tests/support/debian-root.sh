# shellcheck shell=sh
# debian-root.sh: sourced by scripts that need a Debian of their own, made by debootstrap with the
# mirror and the settings of this machine's apt. The scripts define skip and die.

# Debian's own among the sources of this machine's apt, as lines "deb URI SUITE COMPONENT", for a
# release. The origin is not known where apt has no lists yet; then it is taken to be Debian.
debian_sources() {
	# shellcheck disable=SC2016 # apt-get expands these
	apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(RELEASE) $(COMPONENT)' \
		'Created-By: Packages' | awk '$1 == "Debian" || $1 ~ /ORIGIN/' |
		sed "s/ \(bookworm\|trixie\)\([a-z-]*\) / $1\2 /" | awk -v release="$1" '
		$3 == release || $3 == release "-updates" || $3 == release "-security" {
			$1 = "deb"
			if (!seen[$0]++)
				print
		}'
}

# debian_root RELEASE DIRECTORY [OPTION ...]: fills an empty directory; options are debootstrap's.
debian_root() {
	release=$1
	root=$2
	shift 2
	sources=$(debian_sources "$release")
	mirror=$(echo "$sources" | awk -v release="$release" \
		'$3 == release && $4 == "main" { print $2; exit }')
	certificates=
	case $mirror in
	http:*) ;;
	https:*)
		certificates=yes
		set -- --include=ca-certificates "$@"
		;;
	*) skip "apt on this machine has no http mirror of Debian $release" ;;
	esac
	keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	[ ! -e "$keyring" ] || set -- "$@" --keyring="$keyring"
	debootstrap "$@" "$release" "$root" "$mirror" >"$root.log" 2>&1 || {
		tail -n 20 "$root.log" >&2
		die "debootstrap failed"
	}
	rm -f "$root.log"

	# how this machine's apt reaches its mirror: sources, keys, proxies, checks, names of hosts
	settings=$root/etc/apt/apt.conf.d/99-of-the-host
	echo "$sources" >"$root/etc/apt/sources.list"
	apt-config dump | grep -E '^Acquire::(Check-|http|https|Retries|ForceIPv)' \
		>"$settings" || :
	for scheme in http https; do
		eval "proxy=\${${scheme}_proxy-}"
		[ -z "$proxy" ] || echo "Acquire::$scheme::Proxy \"$proxy\";" >>"$settings"
	done
	cp -R /etc/apt/trusted.gpg.d/. "$root/etc/apt/trusted.gpg.d/" 2>/dev/null || :
	cp -R /usr/share/keyrings/. "$root/usr/share/keyrings/" 2>/dev/null || :
	[ -z "$certificates" ] || cp -RL /etc/ssl/certs/. "$root/etc/ssl/certs/"
	for file in hosts resolv.conf; do
		[ ! -e "/etc/$file" ] || cp -L "/etc/$file" "$root/etc/$file"
	done
}
