<?php
// Calls the appliance with PHP's SoapClient:  php soap-client.php WSDL-URL VERSION REQUESTS
// REQUESTS is JSON [[operation, fields], …]; the answers are printed as a JSON list.
[, $wsdl, $version, $requests] = $argv;
$client = new SoapClient($wsdl, [
    'soap_version' => $version === '1.2' ? SOAP_1_2 : SOAP_1_1,
    'features' => SOAP_SINGLE_ELEMENT_ARRAYS,
    'cache_wsdl' => WSDL_CACHE_NONE,
    'compression' => $version === '1.2' ? SOAP_COMPRESSION_ACCEPT | SOAP_COMPRESSION_GZIP | 5 : 0,
    'exceptions' => true,
]);
$answers = [];
foreach (json_decode($requests, true) as [$operation, $fields]) {
    $answers[] = $client->__soapCall($operation, [$fields]);
}
echo json_encode($answers, JSON_UNESCAPED_UNICODE), "\n";
