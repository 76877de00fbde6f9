# Certificates for TLS, made at each start, under the names that libvirt looks
# for. Sourced.

# make_certificates PKI STRANGER ADDRESS: in the folder PKI an authority, a
# server at ADDRESS and a client; in STRANGER a client of another authority.
make_certificates() {
    local authority='basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign'
    local leaf='basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage='
    mkdir -p "$1" "$2"
    certificate "$1/ca" "lab authority" "$authority"
    certificate "$1/server" "$3" "${leaf}serverAuth\nsubjectAltName=IP:$3,DNS:localhost" "$1/ca"
    certificate "$1/client" "lab client" "${leaf}clientAuth" "$1/ca"
    certificate "$2/ca" "another authority" "$authority"
    certificate "$2/client" "a stranger" "${leaf}clientAuth" "$2/ca"
    # It knows whom to trust; it is not trusted.
    cp "$1/cacert.pem" "$2/cacert.pem"
}

# certificate NAME SUBJECT EXTENSIONS [ISSUER]: NAMEkey.pem and NAMEcert.pem
certificate() {
    local by=(-signkey "$1key.pem")
    [ $# = 3 ] || by=(-CA "$4cert.pem" -CAkey "$4key.pem" -set_serial "0x$(openssl rand -hex 8)")
    (umask 077 && openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1key.pem")
    openssl req -new -key "$1key.pem" -subj "/CN=$2" |
        openssl x509 -req -days 30 "${by[@]}" -extfile <(printf "$3") -out "$1cert.pem"
} 2>>"$1.log"
