# Package that contains only data and is the same on every system.
{ package }:
package {
  name = "static-site-1.2";
  pages = ./pages;
  script = ''
    mkdir -p $out/share
    cp -R $pages $out/share/www
    chmod -R u+w $out/share/www
    mkdir $out/share/www/uploads
    ln -s index.html $out/share/www/home.html
  '';
}
