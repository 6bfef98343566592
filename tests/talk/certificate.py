"""tests/talk/certificate.py - self-signed certificates for 127.0.0.1 and localhost, made by openssl.

    certificate.py FOLDER [NAME]

Writes FOLDER/cert.pem and FOLDER/key.pem; both are replaced in one step each.
"""
import os
import subprocess
import sys


def make(folder, name="localhost", passphrase=None):
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    secret = ["-passout", "pass:" + passphrase] if passphrase else ["-nodes"]
    old = os.umask(0o077)
    try:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", *secret, "-days", "2", "-subj", "/CN=" + name,
                        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                        "-keyout", key + ".new", "-out", cert + ".new"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    finally:
        os.umask(old)
    os.replace(key + ".new", key)
    os.replace(cert + ".new", cert)
    return cert, key


if __name__ == "__main__":
    make(*sys.argv[1:3])
