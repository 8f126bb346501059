package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// The users that the tokens stand for. The group makes the first one
// all-powerful without any binding.
const (
	adminUser  = "admin"
	adminGroup = "system:masters"
	viewerUser = "viewer"
)

// credentials are the paths of what the server and its clients need to know
// each other by. All of them are made anew at each start, mode 0600.
type credentials struct {
	serverCert, serverKey             string
	serviceAccountKey                 string
	tokens                            string
	adminKubeconfig, viewerKubeconfig string
}

func writeCredentials(dir, server string) (*credentials, error) {
	creds := &credentials{
		serverCert:        filepath.Join(dir, "server.crt"),
		serverKey:         filepath.Join(dir, "server.key"),
		serviceAccountKey: filepath.Join(dir, "service-account.key"),
		tokens:            filepath.Join(dir, "tokens.csv"),
		adminKubeconfig:   filepath.Join(dir, "kubeconfig"),
		viewerKubeconfig:  filepath.Join(dir, "viewer.kubeconfig"),
	}
	cert, err := writeServerCertificate(creds)
	if err != nil {
		return nil, err
	}
	if _, err := writeKey(creds.serviceAccountKey); err != nil {
		return nil, err
	}
	adminToken, viewerToken := rand.Text(), rand.Text()
	tokens := fmt.Sprintf("%s,%s,%s,%s\n%s,%s,%s\n",
		adminToken, adminUser, adminUser, adminGroup, viewerToken, viewerUser, viewerUser)
	if err := os.WriteFile(creds.tokens, []byte(tokens), 0o600); err != nil {
		return nil, err
	}
	if err := writeKubeconfig(creds.adminKubeconfig, server, cert, adminUser, adminToken); err != nil {
		return nil, err
	}
	if err := writeKubeconfig(creds.viewerKubeconfig, server, cert, viewerUser, viewerToken); err != nil {
		return nil, err
	}
	return creds, nil
}

// writeServerCertificate makes a certificate that is its own authority, valid
// for a day, and returns it in PEM form.
func writeServerCertificate(creds *credentials) ([]byte, error) {
	key, err := writeKey(creds.serverKey)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "kubeapi"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return cert, os.WriteFile(creds.serverCert, cert, 0o600)
}

func writeKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}

func writeKubeconfig(path, server string, authority []byte, user, token string) error {
	const cluster = "kubeapi"
	cfg := clientcmdapi.NewConfig()
	cfg.Clusters[cluster] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: authority}
	cfg.AuthInfos[user] = &clientcmdapi.AuthInfo{Token: token}
	cfg.Contexts[cluster] = &clientcmdapi.Context{Cluster: cluster, AuthInfo: user}
	cfg.CurrentContext = cluster
	return clientcmd.WriteToFile(*cfg, path)
}
